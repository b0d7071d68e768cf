//! Decision tables in the JDM shape, with ZEN cells; hit policies first, collect, unique, priority.
//!
//! Not here: which table a node uses (`flow::check`), how a grid is edited (designer).

/// One compiled decision table.
#[derive(Debug)]
pub struct Table {}
pub struct TableAnswer {
    pub output: serde_json::Value,
}
impl Table {
    pub fn evaluate(&self, _: &crate::expr::Scope) -> Result<TableAnswer, crate::expr::ValueError> {
        todo!()
    }
}
