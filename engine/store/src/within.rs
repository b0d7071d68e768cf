//! Roles, and what lies within somebody's reach: which flows a list may show them.
//!
//! Not here: who has which role (`users`), and what each role may do (`server`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use stepwell_core::bind::{NAMESPACE_DEFAULT, namespace};

/// What somebody may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at everything.
    Viewer,
    /// Starts, and mends what runs.
    Operator,
    /// Draws and publishes.
    Designer,
    /// Decides who may do what, and erases.
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Designer, Self::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Designer => "designer",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == text)
    }
}

/// In place of a namespace: in every one, and over what belongs to none.
pub const EVERYWHERE: &str = "*";

/// By namespace, the role that somebody has there.
pub type Roles = BTreeMap<String, Role>;

/// Flows that a list may tell of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Within {
    #[default]
    Everything,
    /// Those of these namespaces, perhaps none.
    Namespaces(Vec<String>),
}

impl Within {
    pub fn holds(&self, flow: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Namespaces(names) => names.iter().any(|name| name == namespace(flow)),
        }
    }

    /// The same as a condition on a column, to stand after `and`. It says what [`namespace`] says.
    pub(crate) fn condition(&self, column: &str) -> String {
        let Self::Namespaces(names) = self else { return "true".to_owned() };
        let mut sql = String::from("(false");
        for name in names {
            let prefix = format!("{}.", name.replace('\'', "''").replace(['{', '}'], ""));
            let letters = name.chars().count() + 1;
            // Writing to a string cannot fail.
            let _ = write!(sql, " or substr({column}, 1, {letters}) = '{prefix}'");
            if name == NAMESPACE_DEFAULT {
                let _ = write!(sql, " or {column} not like '%.%' or substr({column}, 1, 1) = '.'");
            }
        }
        sql.push(')');
        sql
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn the_condition_says_what_the_rule_says() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        for names in [vec![], vec!["pay"], vec!["default"], vec!["pay", "default"], vec!["p_y"], vec!["o'k"]] {
            let within = Within::Namespaces(names.iter().map(|&name| name.to_owned()).collect());
            let sql = format!("select {} and ?1 is not null", within.condition("?1"));
            for flow in ["pay", "pay.refund", "Pay.refund", "pax.refund", "default.x", ".x", "", "o'k.x", "p_y.x"] {
                let found: bool = db.query_row(&sql, [flow], |row| row.get(0)).unwrap();
                assert_eq!(found, within.holds(flow), "{names:?} {flow}");
            }
        }
        assert!(Within::Everything.holds("anything"));
    }

    #[test]
    fn roles_are_in_order_and_named_once() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
    }
}
