//! A route in the form that chooses.

use std::sync::Arc;

use serde_json::Value;

use super::Skipped;
use super::binding::{Target, holds};
use crate::expr::Expr;

/// Which flow a path starts.
#[derive(Debug, Clone)]
pub struct Route {
    /// Anyone who reaches the port may ask.
    pub open: bool,
    /// How long the caller is kept before it gets a 202.
    pub wait_ms: u64,
    pub(super) rules: Vec<Way>,
    pub(super) named: Vec<(Arc<str>, Option<u32>)>,
}

#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) when: Option<Expr>,
    pub(super) to: Destination,
}

/// Where a rule leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub rule: Arc<str>,
    pub flow: Arc<str>,
    /// Where the rule names one; the flow's binding chooses otherwise.
    pub version: Option<Target>,
}

/// What a route makes of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteChoice {
    pub chosen: Option<Destination>,
    pub skipped: Vec<Skipped>,
}

impl Route {
    pub fn choose(&self, input: &Value) -> RouteChoice {
        let mut skipped = Vec::new();
        for rule in &self.rules {
            match rule.when.as_ref().map_or(Ok(true), |when| holds(when, input)) {
                Ok(true) => {
                    return RouteChoice { chosen: Some(rule.to.clone()), skipped };
                }
                Ok(false) => {}
                Err(message) => skipped.push(Skipped { rule: rule.to.rule.clone(), message }),
            }
        }
        RouteChoice { chosen: None, skipped }
    }

    /// Every (flow, version) it names, switched on or not; no version where the flow's binding chooses.
    pub fn named(&self) -> &[(Arc<str>, Option<u32>)] {
        &self.named
    }
}
