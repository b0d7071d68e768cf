//! Decision tables in the JDM shape, with ZEN cells; hit policies first, collect, unique, priority.
//!
//! Not here: which table a node uses (`flow::check`), how a grid is edited (designer).

/// One compiled decision table.
#[derive(Debug)]
pub struct Table {}
