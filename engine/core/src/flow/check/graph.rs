//! What the graph as a whole must be: one start, ends, everything reachable, joins that can fire,
//! cycles that end, and steps that can be undone where a later one may fail.
//!
//! Sets of nodes are bit sets, so that the check of 2,000 nodes stays within milliseconds.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Write};
use crate::catalog::EffectClass;
use crate::flow::{DONE, Kind, NodeIx, Undo};
use crate::problem::Problem;

/// A set of nodes or edges.
#[derive(Clone, PartialEq)]
pub(super) struct Set(Vec<u64>);

impl Set {
    pub(super) fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    /// True when it was not in.
    pub(super) fn add(&mut self, one: usize) -> bool {
        let (word, bit) = (one / 64, 1_u64 << (one % 64));
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    pub(super) fn has(&self, one: usize) -> bool {
        self.0[one / 64] & (1 << (one % 64)) != 0
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}

/// The edges by their ends. After those that are drawn come those that are meant: from a container to the nodes it
/// begins with, and from a step that is waited for to the later ones.
pub(super) struct Graph {
    pub(super) out: Vec<Vec<usize>>,
    pub(super) into: Vec<Vec<usize>>,
    to: Vec<NodeIx>,
    from: Vec<NodeIx>,
}

impl Graph {
    fn of(checker: &Checker<'_>) -> Self {
        let nodes = checker.nodes.len();
        let mut graph =
            Self { out: vec![Vec::new(); nodes], into: vec![Vec::new(); nodes], to: Vec::new(), from: Vec::new() };
        for (index, line) in checker.edges.iter().enumerate() {
            graph.out[line.from].push(index);
            graph.into[line.to].push(index);
            graph.to.push(line.to);
            graph.from.push(line.from);
        }
        for node in 0..nodes {
            if let Some(container) = checker.nodes[node].inside
                && graph.into[node].is_empty()
            {
                graph.mean(container, node);
            }
        }
        for entry in &checker.nodes {
            let Some(Kind::Stage(stage)) = &entry.kind else { continue };
            for (index, step) in stage.steps.iter().enumerate().filter(|(_, step)| step.sync) {
                stage.steps[index + 1..].iter().for_each(|later| graph.mean(step.node, later.node));
            }
        }
        graph
    }

    fn mean(&mut self, from: NodeIx, to: NodeIx) {
        let edge = self.to.len();
        self.to.push(to);
        self.from.push(from);
        self.out[from].push(edge);
        self.into[to].push(edge);
    }

    /// Everything that can be reached from `starts`, themselves included, without passing `stop`.
    pub(super) fn reach(&self, starts: impl IntoIterator<Item = NodeIx>, stop: Option<NodeIx>, forward: bool) -> Set {
        let mut seen = Set::new(self.out.len());
        let mut open: Vec<NodeIx> = starts.into_iter().filter(|&node| seen.add(node)).collect();
        while let Some(node) = open.pop() {
            if stop == Some(node) {
                continue;
            }
            let (edges, ends) = if forward { (&self.out[node], &self.to) } else { (&self.into[node], &self.from) };
            open.extend(edges.iter().map(|&edge| ends[edge]).filter(|&next| seen.add(next)));
        }
        seen
    }
}

impl Checker<'_> {
    pub(super) fn check_graph(&mut self) {
        if self.reader.raw("nodes").is_none() {
            return;
        }
        let graph = Graph::of(self);
        let starts = self.of_kind(|kind| matches!(kind, Kind::Start));
        let starts: Vec<NodeIx> = starts.into_iter().filter(|&node| self.nodes[node].inside.is_none()).collect();
        let ends = self.of_kind(|kind| matches!(kind, Kind::End { .. } | Kind::Throw(_)));
        let own: Vec<NodeIx> = ends.iter().copied().filter(|&node| self.nodes[node].inside.is_none()).collect();
        self.check_ends(&starts, &own);
        // In a container a branch may just stop.
        let stops =
            |node: &NodeIx| self.nodes[*node].inside.is_some() && !self.edges.iter().any(|line| line.from == *node);
        let ends: Vec<NodeIx> = ends.into_iter().chain((0..self.nodes.len()).filter(stops)).collect();
        let unread = (0..self.nodes.len()).any(|node| self.nodes[node].kind.is_none());
        if let [start] = starts[..] {
            let reached = graph.reach([start], None, true);
            let read = |node: &NodeIx| self.nodes[*node].kind.is_some() || self.nodes[*node].ports.is_some();
            let lost: Vec<NodeIx> = (0..self.nodes.len()).filter(|&node| !reached.has(node)).filter(read).collect();
            for node in lost {
                let problem = Problem::error(
                    "UNREACHABLE",
                    &self.nodes[node].pointer,
                    format!("nothing leads to `{}`", self.nodes[node].id),
                );
                self.on(node, problem.fix("draw an edge to it, or remove it"));
            }
        }
        let leaving = graph.reach(ends.iter().copied(), None, false);
        self.check_cycles(&graph, &leaving, !unread);
        self.check_joins(&graph);
        self.check_undo(&graph);
        self.check_replies(&graph);
    }

    fn of_kind(&self, is: impl Fn(&Kind) -> bool) -> Vec<NodeIx> {
        (0..self.nodes.len()).filter(|&node| self.nodes[node].kind.as_ref().is_some_and(&is)).collect()
    }

    fn check_ends(&mut self, starts: &[NodeIx], ends: &[NodeIx]) {
        // A node that could not be read may be the one that is missing.
        let unread = self.nodes.iter().any(|entry| entry.kind.is_none() && entry.ports.is_none());
        if starts.is_empty() && !unread {
            self.problem(Problem::error("NO_START", "/nodes", "the flow has no start").fix("add a node of type start"));
        }
        for &extra in starts.iter().skip(1) {
            let problem = Problem::error("START_TWICE", &self.nodes[extra].pointer, "the flow has another start");
            self.on(extra, problem.fix("keep one"));
        }
        if ends.is_empty() && !unread {
            self.problem(Problem::error("NO_END", "/nodes", "the flow has no end").fix("add a node of type end"));
        }
    }

    /// Each cycle must have a way to an end that does not also go round again.
    fn check_cycles(&mut self, graph: &Graph, leaving: &Set, complete: bool) {
        if !complete {
            return;
        }
        for cycle in cycles(graph) {
            let inside: BTreeSet<NodeIx> = cycle.iter().copied().collect();
            let first = cycle.iter().copied().min().unwrap_or_default();
            let is_out = |edge: &usize| *edge < self.edges.len() && !inside.contains(&graph.to[*edge]);
            let way_out = cycle.iter().any(|&node| {
                let splits = matches!(self.nodes[node].kind, Some(Kind::Parallel(_)));
                let mut out = graph.out[node].iter().filter(|edge| is_out(edge));
                !splits && out.any(|&edge| leaving.has(graph.to[edge]))
            });
            if !way_out {
                let ids: Vec<&str> = cycle.iter().take(8).map(|&node| self.nodes[node].id).collect();
                let message = format!("nothing leads out of the cycle {}", ids.join(", "));
                let problem = Problem::error("CYCLE_WITHOUT_END", &self.nodes[first].pointer, message);
                self.on(first, problem.fix("add an exclusive node with an edge that leaves it"));
            }
        }
    }

    /// A join waits for a token on each of its edges: any two of them must be able to hold one at
    /// the same time, so they come from different branches of one parallel node.
    fn check_joins(&mut self, graph: &Graph) {
        let splits = self.of_kind(|kind| matches!(kind, Kind::Parallel(_) | Kind::Inclusive) || kind.body().is_some());
        let splits: Vec<NodeIx> = splits.into_iter().filter(|&node| graph.out[node].len() > 1).collect();
        // One that does not wait for all has its own idea of who comes.
        let waits_for = |kind: &Kind, all: usize| matches!(kind, Kind::Parallel(join) if join.wanted >= all);
        let all =
            |&node: &NodeIx| self.nodes[node].kind.as_ref().is_some_and(|kind| waits_for(kind, graph.into[node].len()));
        let joins: Vec<NodeIx> = (0..self.nodes.len()).filter(all).collect();
        for join in joins.into_iter().filter(|&node| graph.into[node].len() > 1) {
            let arriving = &graph.into[join];
            // For each split, which of its edges can be behind which arriving edge.
            let behind: Vec<Vec<Set>> = splits
                .iter()
                .filter(|&&split| split != join)
                .map(|&split| {
                    let branches = graph.out[split].iter().enumerate();
                    let mut sets = vec![Set::new(graph.out[split].len()); arriving.len()];
                    for (branch, &edge) in branches {
                        let reached = graph.reach([graph.to[edge]], Some(join), true);
                        for (place, &into) in arriving.iter().enumerate() {
                            if into == edge || (graph.to[edge] != join && reached.has(graph.from[into])) {
                                sets[place].add(branch);
                            }
                        }
                    }
                    sets
                })
                .collect();
            let together = |a: usize, b: usize| behind.iter().any(|sets| apart(&sets[a], &sets[b]));
            let pair = (0..arriving.len())
                .flat_map(|a| (a + 1..arriving.len()).map(move |b| (a, b)))
                .find(|&(a, b)| !together(a, b));
            if let Some((a, b)) = pair {
                let name = |edge: usize| match (self.nodes[graph.from[edge]].id, &*self.edges[edge].port) {
                    (id, DONE) => id.to_owned(),
                    (id, port) => format!("{id}:{port}"),
                };
                let message = format!(
                    "`{}` waits for `{}` and `{}`, of which only one can arrive",
                    self.nodes[join].id,
                    name(arriving[a]),
                    name(arriving[b]),
                );
                let problem = Problem::error("JOIN_NEVER_FIRES", &self.nodes[join].pointer, message);
                self.on(join, problem.fix("lead both edges to the next node instead: it needs no join"));
            }
        }
    }

    /// An external step that stays done although the flow is compensated.
    fn check_undo(&mut self, graph: &Graph) {
        let may_fail = self.of_kind(|kind| {
            let work = matches!(kind, Kind::Task(_) | Kind::ExternalTask(_) | Kind::UserTask(_) | Kind::Call(_));
            work || matches!(kind, Kind::Compensate | Kind::Receive { .. } | Kind::Throw(_))
        });
        let mut failing = Set::new(self.nodes.len());
        for node in may_fail {
            failing.add(node);
        }
        for node in 0..self.nodes.len() {
            let Some(Kind::Task(task)) = &self.nodes[node].kind else { continue };
            if task.call.effect != EffectClass::External || !matches!(task.undo, Undo::No) {
                continue;
            }
            // What comes after the containers it is in comes after it as well.
            let after = std::iter::once(node).chain(self.around(node)).flat_map(|at| graph.out[at].iter());
            let later = graph.reach(after.map(|&edge| graph.to[edge]), None, true);
            if later.meets(&failing) {
                let message = format!("a later step can fail, and what `{}` did stays done", self.nodes[node].id);
                let fix = if task.call.undo {
                    "add \"undo\": true"
                } else {
                    "add `undo` with a node type that takes it back"
                };
                let problem = Problem::warning("NO_UNDO", &self.nodes[node].pointer, message);
                self.on(node, problem.fix(fix));
            }
        }
    }

    /// The first reply wins; one that always comes second answers nobody.
    fn check_replies(&mut self, graph: &Graph) {
        let replies = self.of_kind(|kind| matches!(kind, Kind::Reply { .. }));
        let Some(&start) = self.of_kind(|kind| matches!(kind, Kind::Start)).first() else { return };
        for &reply in &replies {
            // Without the other replies, can this one still be reached?
            let others: Vec<NodeIx> = replies.iter().copied().filter(|&other| other != reply).collect();
            if others.is_empty() {
                return;
            }
            let mut seen = Set::new(self.nodes.len());
            let mut open = vec![start];
            seen.add(start);
            while let Some(node) = open.pop() {
                if others.contains(&node) {
                    continue;
                }
                open.extend(graph.out[node].iter().map(|&edge| graph.to[edge]).filter(|&next| seen.add(next)));
            }
            let reached = graph.reach([start], None, true).has(reply);
            if reached && !seen.has(reply) {
                let message = "another reply always comes first, and the first one wins";
                let problem = Problem::warning("REPLY_TOO_LATE", &self.nodes[reply].pointer, message);
                self.on(reply, problem.fix("remove one of them"));
            }
        }
    }

    /// Two branches of one parallel node that write one variable.
    pub(super) fn check_writes(&mut self) {
        let graph = Graph::of(self);
        self.check_item_writes();
        let mut writers: BTreeMap<NodeIx, Vec<usize>> = BTreeMap::new();
        for (place, write) in self.writes.iter().enumerate() {
            writers.entry(write.node).or_default().push(place);
        }
        let writers: Vec<(NodeIx, Vec<usize>)> = writers.into_iter().collect();
        if writers.len() < 2 {
            return;
        }
        let splits = self.of_kind(|kind| matches!(kind, Kind::Parallel(_) | Kind::Inclusive));
        let mut told = BTreeSet::new();
        for split in splits.into_iter().filter(|&node| graph.out[node].len() > 1) {
            let branches: Vec<Set> =
                graph.out[split].iter().map(|&edge| graph.reach([graph.to[edge]], Some(split), true)).collect();
            // A node in two branches comes after their join, or is reached by either.
            let alone = |node: NodeIx| {
                let mut found =
                    branches.iter().enumerate().filter(|(_, reached)| reached.has(node)).map(|(branch, _)| branch);
                found.next().filter(|_| found.next().is_none())
            };
            for (index, (node, own)) in writers.iter().enumerate() {
                for (other, others) in &writers[index + 1..] {
                    let (Some(branch), Some(beside)) = (alone(*node), alone(*other)) else { continue };
                    let same =
                        |place: &&usize| own.iter().any(|&one| self.writes[one].name == self.writes[**place].name);
                    let Some(&place) = others.iter().find(same) else { continue };
                    if branch == beside || !told.insert((*node, *other)) {
                        continue;
                    }
                    let Write { name, pointer, .. } = &self.writes[place];
                    let message = format!("`{}` writes `vars.{name}` at the same time", self.nodes[*node].id);
                    let pointer = pointer.clone();
                    let problem = Problem::error("PARALLEL_WRITE", pointer, message);
                    self.on(*other, problem.fix("use two names, and join them after the branches"));
                }
            }
        }
    }

    /// Items of one for-each that write one variable.
    fn check_item_writes(&mut self) {
        let (mut problems, mut told) = (Vec::new(), BTreeSet::new());
        for Write { node, name, pointer } in &self.writes {
            let (node, pointer) = (*node, pointer.clone());
            let parallel = self
                .around(node)
                .find(|&container| matches!(&self.nodes[container].kind, Some(Kind::ForEach(each)) if each.limit > 1));
            let Some(container) = parallel.filter(|_| told.insert(node)) else { continue };
            let message = format!("items of `{}` write `vars.{name}` at the same time", self.nodes[container].id);
            let problem = Problem::error("PARALLEL_WRITE", pointer, message);
            problems.push((node, problem.fix("give the items an `output`, or run one after the other: \"limit\": 1")));
        }
        for (node, problem) in problems {
            self.on(node, problem);
        }
    }

    /// For each node, the nodes that may have run before it.
    pub(super) fn before(&self) -> Vec<Set> {
        let graph = Graph::of(self);
        (0..self.nodes.len())
            .map(|node| graph.reach(graph.into[node].iter().map(|&edge| graph.from[edge]), None, false))
            .collect()
    }
}

/// Two sets of branches from which two different ones can be picked.
fn apart(a: &Set, b: &Set) -> bool {
    let count = |set: &Set| set.0.iter().map(|word| word.count_ones()).sum::<u32>();
    let (a_count, b_count) = (count(a), count(b));
    a_count > 0 && b_count > 0 && !(a_count == 1 && b_count == 1 && a == b)
}

/// The strongly connected parts that are cycles (Tarjan, without recursion).
fn cycles(graph: &Graph) -> Vec<Vec<NodeIx>> {
    let size = graph.out.len();
    let (mut index, mut low) = (vec![usize::MAX; size], vec![0; size]);
    let mut on_stack = Set::new(size);
    let (mut stack, mut found, mut count) = (Vec::new(), Vec::new(), 0);
    for root in 0..size {
        if index[root] != usize::MAX {
            continue;
        }
        let mut work = vec![(root, 0)];
        while let Some((node, place)) = work.pop() {
            if place == 0 {
                index[node] = count;
                low[node] = count;
                count += 1;
                stack.push(node);
                on_stack.add(node);
            }
            let mut descended = false;
            for (offset, &edge) in graph.out[node].iter().enumerate().skip(place) {
                let next = graph.to[edge];
                if index[next] == usize::MAX {
                    work.push((node, offset + 1));
                    work.push((next, 0));
                    descended = true;
                    break;
                }
                if on_stack.has(next) {
                    low[node] = low[node].min(index[next]);
                }
            }
            if descended {
                continue;
            }
            if let Some(&(parent, _)) = work.last() {
                low[parent] = low[parent].min(low[node]);
            }
            if low[node] == index[node] {
                let mut part = Vec::new();
                while let Some(member) = stack.pop() {
                    on_stack.0[member / 64] &= !(1 << (member % 64));
                    part.push(member);
                    if member == node {
                        break;
                    }
                }
                let loops = part.len() > 1 || graph.out[node].iter().any(|&edge| graph.to[edge] == node);
                if loops {
                    part.sort_unstable();
                    found.push(part);
                }
            }
        }
    }
    found
}
