//! From documents to rules that choose, with everything that is wrong with them.

use std::collections::HashSet;
use std::sync::Arc;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::binding::{Binding, Keyed, Share, Shares, Target};
use super::document::{ResolveDocument, RouteAuth, RouteRule, Rule, Variant, VersionName};
use super::route::{Destination, Resolve, Route, Way};
use super::{Checked, KEYS_MAX, RULES_MAX, VARIANTS_MAX, Versions, WEIGHT_MAX};
use crate::expr::{Expr, Template, expression_problem};
use crate::flow::duration;
use crate::flow::read::Reader;
use crate::problem::{Problem, Severity};

/// How long a caller is kept, unless the document says otherwise, and at most.
const WAIT_MS: u64 = 10_000;
const WAIT_MS_MAX: u64 = 60_000;
const NAME_CHARS_MAX: usize = 64;
/// What can befall a document that was sound when it was kept.
const GONE: [&str; 2] = ["VERSION_UNKNOWN", "FLOW_UNKNOWN"];

impl Binding {
    /// Checks a flow's binding against the versions that can be started.
    pub fn check(document: &Value, versions: &Versions) -> Checked<Self> {
        checked(document, "a binding is an object", |checker| checker.binding(versions))
    }
}

impl Route {
    /// Checks a route; `versions` tells those of a flow that can be started, `None` of no flow.
    pub fn check<'v>(document: &Value, versions: impl Fn(&str) -> Option<&'v Versions>) -> Checked<Self> {
        checked(document, "a route is an object", |checker| checker.route(&versions))
    }
}

fn checked<T>(document: &Value, not: &str, check: impl FnOnce(&mut Checker<'_>) -> T) -> Checked<T> {
    let Some(fields) = document.as_object() else {
        return Checked { rules: None, problems: vec![Problem::error("WRONG_TYPE", "", not)] };
    };
    let mut checker = Checker { reader: Reader::new(fields) };
    let rules = check(&mut checker);
    let mut problems = checker.reader.problems;
    let gone = |problem: &Problem| GONE.contains(&problem.code.as_str()) || problem.severity == Severity::Warning;
    let rules = problems.iter().all(gone).then_some(rules);
    problems.sort_by(|a, b| (&a.pointer, &a.code, &a.message).cmp(&(&b.pointer, &b.code, &b.message)));
    problems.dedup();
    Checked { rules, problems }
}

struct Checker<'d> {
    reader: Reader<'d>,
}

impl Checker<'_> {
    fn problem(&mut self, problem: Problem) {
        self.reader.problems.push(problem);
    }

    fn binding(&mut self, versions: &Versions) -> Binding {
        self.reader.unknown_fields(&["rules", "split", "default", "fallback", "off"]);
        let mut binding = Binding::none(versions);
        let (mut names, mut wanted) = (HashSet::new(), Vec::new());
        for (index, rule) in self.list::<Rule>("rules", RULES_MAX) {
            let pointer = format!("/rules/{index}");
            let version = self.version(&rule.version, &format!("{pointer}/version"), versions);
            wanted.extend(version.version());
            let keyed = self.rule(&pointer, &rule, version, &mut names);
            binding.rules.extend(keyed.filter(|_| rule.enabled));
        }
        let variants = self.split(versions);
        if let Some((enabled, shares, versions)) = variants {
            wanted.extend(versions);
            binding.split = Some(shares).filter(|_| enabled);
        }
        for (field, place) in [("default", &mut binding.default), ("fallback", &mut binding.fallback)] {
            let Some(name) = self.reader.field::<VersionName>(field) else { continue };
            let version = self.version(&name, &format!("/{field}"), versions);
            wanted.extend(version.version());
            *place = Some(version);
        }
        for (index, name) in self.list::<VersionName>("off", RULES_MAX) {
            binding.off.extend(self.version(&name, &format!("/off/{index}"), versions).version());
        }
        binding.named = wanted;
        binding
    }

    fn rule(&mut self, at: &str, rule: &Rule, version: Target, names: &mut HashSet<String>) -> Option<Keyed> {
        self.name(&rule.name, &format!("{at}/name"), names);
        let when = self.condition(rule.when.as_deref(), at);
        if rule.keys.is_empty() && rule.prefixes.is_empty() && rule.when.is_none() {
            let problem = Problem::error("RULE_WITHOUT_CONDITION", at, format!("rule {} says not for what", rule.name));
            self.problem(problem.fix("give keys, prefixes or when; for all the others there is default"));
            return None;
        }
        for (what, texts) in [("keys", &rule.keys), ("prefixes", &rule.prefixes)] {
            self.within(texts.len(), KEYS_MAX, &format!("{at}/{what}"), what);
            if let Some(index) = texts.iter().position(String::is_empty) {
                let problem = Problem::error("KEY_EMPTY", format!("{at}/{what}/{index}"), "no business key is empty");
                self.problem(problem.fix("remove it"));
            }
        }
        Some(Keyed {
            name: rule.name.as_str().into(),
            keys: rule.keys.iter().cloned().collect(),
            prefixes: rule.prefixes.clone(),
            when: when.ok()?,
            version,
        })
    }

    /// Whether it is on, the shares, and the versions of all of them.
    fn split(&mut self, versions: &Versions) -> Option<(bool, Shares, Vec<u32>)> {
        let source = self.reader.raw("split")?;
        let Some(fields) = source.as_object() else {
            self.problem(Problem::error("WRONG_TYPE", "/split", "`split` is an object"));
            return None;
        };
        let mut inner = Checker { reader: Reader::new(fields) };
        let shares = inner.shares(fields, versions);
        for mut problem in inner.reader.problems {
            problem.pointer.insert_str(0, "/split");
            self.problem(problem);
        }
        Some(shares)
    }

    fn shares(&mut self, fields: &Map<String, Value>, versions: &Versions) -> (bool, Shares, Vec<u32>) {
        self.reader.unknown_fields(&["enabled", "salt", "variants"]);
        let enabled = self.reader.field("enabled").unwrap_or(true);
        let salt = self.reader.field::<String>("salt").unwrap_or_default();
        let (mut names, mut wanted, mut shares) = (HashSet::new(), Vec::new(), Vec::new());
        for (index, variant) in self.list::<Variant>("variants", VARIANTS_MAX) {
            let at = format!("/variants/{index}");
            self.name(&variant.name, &format!("{at}/name"), &mut names);
            if variant.weight > WEIGHT_MAX {
                let message = format!("{} is more than {WEIGHT_MAX}", variant.weight);
                self.problem(Problem::error("SPLIT_WEIGHT", format!("{at}/weight"), message).fix("weigh it less"));
            }
            let version = self.version(&variant.version, &format!("{at}/version"), versions);
            wanted.extend(version.version());
            let version = if variant.enabled { version } else { Target::Gone };
            shares.push(Share { name: variant.name.into(), version, weight: variant.weight });
        }
        if !fields.contains_key("variants") {
            self.problem(Problem::error("MISSING_FIELD", "", "the split has no `variants`").fix("add two or more"));
        }
        let as_many = fields.get("variants").and_then(Value::as_array).is_some_and(|all| all.len() == shares.len());
        if as_many && shares.iter().all(|share| share.weight == 0) {
            let problem = Problem::error("SPLIT_WEIGHT", "/variants", "nothing has a weight");
            self.problem(problem.fix("give one variant at least a weight above 0"));
        }
        (enabled, Shares { salt, variants: shares }, wanted)
    }

    fn route<'v>(&mut self, versions: &impl Fn(&str) -> Option<&'v Versions>) -> Route {
        self.reader.unknown_fields(&["auth", "wait", "resolve", "rules"]);
        if self.reader.raw("rules").is_none() {
            let problem = Problem::error("MISSING_FIELD", "", "the route has no `rules`");
            self.problem(problem.fix("add a rule such as { \"name\": \"all\", \"flow\": \"community_order\" }"));
        }
        let auth = self.reader.field::<RouteAuth>("auth");
        let wait_ms = self.wait();
        let resolve = self.resolve();
        let (mut names, mut wanted, mut rules) = (HashSet::new(), Vec::new(), Vec::new());
        let mut always: Option<String> = None;
        for (index, rule) in self.list::<RouteRule>("rules", RULES_MAX) {
            let at = format!("/rules/{index}");
            self.name(&rule.name, &format!("{at}/name"), &mut names);
            if let Some(before) = always.as_ref().filter(|_| rule.enabled) {
                let message = format!("rule {before} takes everything before");
                self.problem(Problem::warning("RULE_NEVER_REACHED", at.as_str(), message).fix("move it up"));
            }
            let version = self.target(&rule, &at, versions);
            wanted.push((Arc::from(rule.flow.as_str()), version.and_then(Target::version)));
            let Ok(when) = self.condition(rule.when.as_deref(), &at) else { continue };
            if rule.enabled {
                if when.is_none() {
                    always.get_or_insert(rule.name.clone());
                }
                let to = Destination { rule: rule.name.into(), flow: rule.flow.into(), version };
                rules.push(Way { when, to });
            }
        }
        Route { open: auth == Some(RouteAuth::None), wait_ms, resolve, rules, named: wanted }
    }

    fn resolve(&mut self) -> Option<Resolve> {
        let ResolveDocument { table, into, with } = self.reader.field("resolve")?;
        let letters = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
        let name = into.len() <= NAME_CHARS_MAX && into.bytes().all(letters);
        if !name || !into.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            let problem = Problem::error("RULE_NAME", "/resolve/into", format!("`{into}` is no name for a field"));
            self.problem(problem.fix("use letters, digits and `_`, no digit first"));
        }
        let mut found = Vec::new();
        let problems = &mut self.reader.problems;
        let with = with.map(|with| Template::compile(&with, "/resolve/with", Tz::UTC, problems, &mut found));
        for (pointer, expr) in found {
            let strangers = expr.reads().iter().filter_map(|path| path.first()).filter(|root| &***root != "input");
            for root in strangers.collect::<HashSet<_>>() {
                let message = format!("`{root}` stands for nothing here");
                self.problem(Problem::error("UNKNOWN_REFERENCE", pointer.as_str(), message).fix("use input"));
            }
        }
        Some(Resolve::new(&table, &into, with))
    }

    fn wait(&mut self) -> u64 {
        let Some(text) = self.reader.field::<String>("wait") else { return WAIT_MS };
        match duration::parse_ms(&text) {
            Ok(ms) if ms <= WAIT_MS_MAX => return ms,
            Ok(_) => self.problem(Problem::error("DURATION_OUT_OF_BOUNDS", "/wait", format!("{text} is over 60 s"))),
            Err(error) => self.problem(Problem::error("DURATION", "/wait", error)),
        }
        WAIT_MS
    }

    fn target<'v>(
        &mut self,
        rule: &RouteRule,
        at: &str,
        versions: &impl Fn(&str) -> Option<&'v Versions>,
    ) -> Option<Target> {
        let Some(versions) = versions(&rule.flow).filter(|versions| versions.newest().is_some()) else {
            let message = format!("no flow {} is published", rule.flow);
            self.problem(Problem::error("FLOW_UNKNOWN", format!("{at}/flow"), message).fix("publish it first"));
            return rule.version.as_ref().map(|_| Target::Gone);
        };
        let name = rule.version.as_ref()?;
        Some(self.version(name, &format!("{at}/version"), versions))
    }

    fn list<T: serde::de::DeserializeOwned>(&mut self, field: &str, most: usize) -> Vec<(usize, T)> {
        let length = self.reader.raw(field).and_then(Value::as_array).map_or(0, Vec::len);
        self.within(length, most, &format!("/{field}"), field);
        self.reader.list(field)
    }

    fn within(&mut self, count: usize, most: usize, at: &str, what: &str) {
        if count > most {
            self.problem(Problem::error("RULES_TOO_MANY", at, format!("{count} {what}; at most {most}")));
        }
    }

    fn name(&mut self, name: &str, at: &str, names: &mut HashSet<String>) {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(letter) {
            let problem = Problem::error("RULE_NAME", at, format!("`{name}` is no name for a rule"));
            self.problem(problem.fix("use letters, digits, `_`, `-` and `.`, at most 64"));
        } else if !names.insert(name.to_owned()) {
            let problem = Problem::error("RULE_NAME", at, format!("two have the name `{name}`"));
            self.problem(problem.fix("instances show it: choose another"));
        }
    }

    /// `Err`: there is one, and it cannot be used.
    fn condition(&mut self, when: Option<&str>, at: &str) -> Result<Option<Expr>, ()> {
        let Some(text) = when else { return Ok(None) };
        let pointer = format!("{at}/when");
        match Expr::parse(text) {
            Ok(expr) => {
                let strangers = expr.reads().iter().filter_map(|path| path.first()).filter(|root| &***root != "input");
                for root in strangers.collect::<HashSet<_>>() {
                    let message = format!("`{root}` stands for nothing here");
                    self.problem(Problem::error("UNKNOWN_REFERENCE", pointer.as_str(), message).fix("use input"));
                }
                Ok(Some(expr))
            }
            Err(error) => {
                self.problem(expression_problem(&error, &pointer));
                Err(())
            }
        }
    }

    fn version(&mut self, name: &VersionName, at: &str, versions: &Versions) -> Target {
        let found = versions.find(name);
        if found.is_none() {
            let problem = Problem::error("VERSION_UNKNOWN", at, format!("no version {name} can be started"));
            self.problem(problem.fix("name a published version by its number or label"));
        }
        found.map_or(Target::Gone, Target::Version)
    }
}
