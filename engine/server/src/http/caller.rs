//! Who asks, and how far their roles reach. Pure: what is told here is decided from a caller alone.
//!
//! Invariants:
//! - A role holds in its namespace, one in `*` in every namespace and over what belongs to none.
//! - What lies outside somebody's namespaces is answered as if it were not there; within them, a refusal says which
//!   role is needed where.
//!
//! Not here: how somebody is known (`auth`), and which route needs what (`access`).

use std::collections::BTreeSet;
use std::sync::Arc;

use stepwell_core::bind::namespace;
use stepwell_store::{EVERYWHERE, Role, Roles, Within};

use super::problem::{Answer, Code, Refusal};

/// The one who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// As the audit has it: a user's name, or `token:` and a token's name.
    pub user: String,
    pub kind: Kind,
    pub reach: Arc<Reach>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The engine's own token, or a session bought with it.
    Engine,
    User {
        must_change: bool,
    },
    /// An API token. Its owner; `None`: whoever has the engine's own token.
    Token {
        owner: Option<String>,
    },
}

/// How the engine's own token is called where somebody is named.
pub(crate) const ENGINE_TOKEN: &str = "token:bootstrap";

impl Caller {
    pub(crate) fn engine() -> Self {
        Self { user: ENGINE_TOKEN.to_owned(), kind: Kind::Engine, reach: Arc::new(Reach::everything()) }
    }

    /// The user behind it; `None`: nobody, only the engine's own token.
    pub(crate) fn owner(&self) -> Option<&str> {
        match &self.kind {
            Kind::Engine => None,
            Kind::User { .. } => Some(&self.user),
            Kind::Token { owner } => owner.as_deref(),
        }
    }

    pub(crate) fn must_change(&self) -> bool {
        self.kind == Kind::User { must_change: true }
    }

    /// Refuses who has less than this role in the flow's namespace. `absent`: what is said of a flow that is not there.
    pub(crate) fn needs(&self, need: Role, flow: &str, absent: impl FnOnce() -> Refusal) -> Answer<()> {
        let namespace = namespace(flow);
        match self.reach.in_namespace(namespace) {
            Some(role) if role >= need => Ok(()),
            Some(_) => Err(forbidden(need, namespace)),
            None => Err(absent()),
        }
    }

    /// Refuses who has less than this role in a namespace that they name themselves.
    pub(crate) fn needs_in(&self, need: Role, namespace: &str) -> Answer<()> {
        if self.reach.in_namespace(namespace) >= Some(need) { Ok(()) } else { Err(forbidden(need, namespace)) }
    }

    pub(crate) fn needs_everywhere(&self, need: Role) -> Answer<()> {
        if self.reach.everywhere() >= Some(need) { Ok(()) } else { Err(forbidden(need, EVERYWHERE)) }
    }

    /// Refuses who has less than this role in every namespace.
    pub(crate) fn needs_somewhere(&self, need: Role) -> Answer<()> {
        if self.reach.somewhere() >= Some(need) { Ok(()) } else { Err(forbidden(need, "any")) }
    }

    /// The flows in whose namespaces the caller has this role.
    pub(crate) fn within(&self, need: Role) -> Within {
        self.reach.within(need)
    }
}

/// The same, where it is not plain why.
pub(crate) fn forbidden_for(need: Role, namespace: &str, reason: &str) -> Refusal {
    let mut refusal = forbidden(need, namespace);
    refusal.detail = refusal.detail.take().map(|detail| format!("{detail}: {reason}"));
    refusal
}

fn forbidden(need: Role, namespace: &str) -> Refusal {
    let role = need.name();
    let whose = match namespace {
        EVERYWHERE => "in all namespaces (`*`)".to_owned(),
        "any" => "in some namespace".to_owned(),
        one => format!("in namespace {one}"),
    };
    Refusal::say(Code::Forbidden, format!("the role {role} {whose} is needed"))
        .and("role", role)
        .and("namespace", namespace)
}

/// Which role somebody has where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach(Roles);

impl Reach {
    pub(crate) fn new(roles: Roles) -> Self {
        Self(roles)
    }

    fn everything() -> Self {
        Self(Roles::from([(EVERYWHERE.to_owned(), Role::Admin)]))
    }

    pub(crate) fn roles(&self) -> &Roles {
        &self.0
    }

    pub(crate) fn everywhere(&self) -> Option<Role> {
        self.0.get(EVERYWHERE).copied()
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> Option<Role> {
        self.0.get(namespace).copied().max(self.everywhere())
    }

    pub(crate) fn somewhere(&self) -> Option<Role> {
        self.0.values().copied().max()
    }

    pub(crate) fn within(&self, need: Role) -> Within {
        if self.everywhere() >= Some(need) {
            return Within::Everything;
        }
        let theirs = self.0.iter().filter(|(namespace, role)| **role >= need && *namespace != EVERYWHERE);
        Within::Namespaces(theirs.map(|(namespace, _)| namespace.clone()).collect())
    }

    /// What both have: a token reaches no further than its owner.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let least = |name: &String| {
            let (one, two) = if name == EVERYWHERE {
                (self.everywhere(), other.everywhere())
            } else {
                (self.in_namespace(name), other.in_namespace(name))
            };
            Some((name.clone(), one?.min(two?)))
        };
        Self(names.into_iter().filter_map(least).collect())
    }

    /// Whether it has all that the other has.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(namespace, role)| {
            let own = if namespace == EVERYWHERE { self.everywhere() } else { self.in_namespace(namespace) };
            own >= Some(*role)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    /// `pay=operator *=viewer`
    fn reach(text: &str) -> Reach {
        let one = |part: &str| {
            let (namespace, role) = part.split_once('=').unwrap();
            (namespace.to_owned(), Role::parse(role).unwrap())
        };
        Reach::new(text.split_whitespace().map(one).collect())
    }

    #[test]
    fn a_role_holds_in_its_namespace_or_everywhere() {
        for (roles, need, flow, expected) in [
            ("pay=operator", Role::Operator, "pay.refund", "OK"),
            ("pay=operator", Role::Viewer, "pay.refund", "OK"),
            ("pay=operator", Role::Designer, "pay.refund", "FORBIDDEN"),
            ("pay=operator", Role::Viewer, "pay", "FLOW_NOT_FOUND"), // A flow of `default`.
            ("default=viewer", Role::Viewer, "pay", "OK"),
            ("*=viewer pay=designer", Role::Designer, "pay.refund", "OK"),
            ("*=viewer pay=designer", Role::Designer, "ship.box", "FORBIDDEN"),
            ("*=admin", Role::Admin, "ship.box", "OK"),
            ("", Role::Viewer, "ship.box", "FLOW_NOT_FOUND"),
        ] {
            let caller = Caller { reach: Arc::new(reach(roles)), ..Caller::engine() };
            let answer = caller.needs(need, flow, || Refusal::new(Code::FlowNotFound));
            let code = answer.map_or_else(|refusal| refusal.code.text(), |()| "OK");
            assert_eq!(code, expected, "{roles} {need:?} {flow}");
        }
    }

    #[test]
    fn a_token_reaches_no_further_than_its_owner() {
        for (owner, token, both) in [
            ("*=admin", "pay=operator", "pay=operator"),
            ("pay=operator", "*=admin", "pay=operator"),
            ("pay=viewer", "pay=admin", "pay=viewer"),
            ("*=viewer pay=admin", "*=operator", "*=viewer pay=operator"),
            ("pay=admin", "ship=viewer", ""),
            ("", "*=admin", ""),
        ] {
            let met = reach(owner).and(&reach(token));
            assert_eq!(met, reach(both), "{owner} and {token}");
            assert_eq!(met, reach(token).and(&reach(owner)));
            assert!(reach(owner).covers(&met) && reach(token).covers(&met));
        }
        assert!(!reach("pay=admin").covers(&reach("*=viewer")));
    }
}
