//! Every rule a document must meet, and the way from a document to a [`Flow`](super::Flow).
pub struct Checked {
    pub flow: Option<super::Flow>,
    pub problems: Vec<crate::problem::Problem>,
}
pub fn check(_: &serde_json::Value, _: &crate::catalog::Catalog) -> Checked {
    todo!()
}
