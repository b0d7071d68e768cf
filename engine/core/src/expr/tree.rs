//! An expression as our evaluator walks it: ZEN's syntax tree with names resolved, constants
//! computed and limits checked.
//!
//! Not here: how the tree is made (`translate`) and what it means (`eval`).

use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::Value;
use zen_expression::functions::{ClosureFunction, DateMethod, InternalFunction};

/// One fixed step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(Arc<str>),
    Index(usize),
}

#[derive(Debug)]
pub(super) enum Node {
    /// A scalar, or a list or object without anything to compute in it.
    Literal(Value),
    /// A number as the text has it, all digits kept.
    Number(Decimal),
    Path {
        root: Arc<str>,
        steps: Vec<Step>,
    },
    /// `#` or an alias: the current item of the closure `depth` levels out.
    Item {
        depth: usize,
    },
    /// `$`, the column's value in a table's cell.
    Dollar,
    Array(Vec<Node>),
    Object(Vec<(Node, Node)>),
    /// A template string: its parts, joined as texts.
    Text(Vec<Node>),
    Member {
        of: Box<Node>,
        key: Box<Node>,
    },
    Slice {
        of: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<(Node, Node)>),
    Or(Box<(Node, Node)>),
    Otherwise(Box<(Node, Node)>),
    Binary {
        operator: Binary,
        sides: Box<(Node, Node)>,
    },
    If(Box<(Node, Node, Node)>),
    In {
        item: Box<Node>,
        list: Box<Node>,
        negated: bool,
    },
    Between {
        item: Box<Node>,
        ends: Box<(Node, Node)>,
        interval: Interval,
        negated: bool,
    },
    Call {
        function: InternalFunction,
        arguments: Vec<Node>,
    },
    DateCall {
        method: DateMethod,
        arguments: Vec<Node>,
    },
    Closure {
        function: ClosureFunction,
        list: Box<Node>,
        body: Box<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

/// How an interval's ends count. `]1..5[` is everything outside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub(super) outside: bool,
    pub(super) left_closed: bool,
    pub(super) right_closed: bool,
}

impl Node {
    pub(super) fn for_each_child(&self, visit: &mut dyn FnMut(&Node)) {
        match self {
            Self::Literal(_) | Self::Number(_) | Self::Path { .. } | Self::Item { .. } | Self::Dollar => {}
            Self::Array(parts) | Self::Text(parts) => parts.iter().for_each(visit),
            Self::Call { arguments, .. } | Self::DateCall { arguments, .. } => arguments.iter().for_each(visit),
            Self::Object(entries) => entries.iter().for_each(|(key, value)| {
                visit(key);
                visit(value);
            }),
            Self::Member { of, key } => {
                visit(of);
                visit(key);
            }
            Self::Slice { of, from, to } => {
                visit(of);
                from.iter().chain(to).for_each(|end| visit(end));
            }
            Self::Not(inner) | Self::Negate(inner) => visit(inner),
            Self::And(sides) | Self::Or(sides) | Self::Otherwise(sides) | Self::Binary { sides, .. } => {
                visit(&sides.0);
                visit(&sides.1);
            }
            Self::If(parts) => {
                visit(&parts.0);
                visit(&parts.1);
                visit(&parts.2);
            }
            Self::In { item, list, .. } => {
                visit(item);
                visit(list);
            }
            Self::Between { item, ends, .. } => {
                visit(item);
                visit(&ends.0);
                visit(&ends.1);
            }
            Self::Closure { list, body, .. } => {
                visit(list);
                visit(body);
            }
        }
    }
}
