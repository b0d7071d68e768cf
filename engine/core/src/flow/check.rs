//! Every rule a document must meet, and the way from a document to a [`Flow`](super::Flow).
