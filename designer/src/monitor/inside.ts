// What is inside of an instance's scopes: the items of a for-each, the nodes of a called flow. Read from the paths the
// engine gives: a scope is `each.1/0/` (node, its visit, the item), a called flow's node `pay.1/begin`.
import type { InstanceDetail, JournalEntry, Json, NodeRun, Token } from '../api/shapes';
import type { Items } from '../canvas/context';
import { childrenOf } from '../graph/containers';
import type { Graph, NodeId } from '../graph/document';

type Seen = Pick<InstanceDetail, 'nodes' | 'tokens' | 'input' | 'vars'>;

export interface Item {
  index: number;
  state: 'done' | 'running' | 'waiting' | 'incident' | 'failed';
  /** Where its tokens stand. */
  nodes: NodeId[];
  message?: string;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `each.1/3/` under a for-each `each`: which visit, which item. Scopes around it are passed over. */
function itemOf(scope: string | null | undefined, each: NodeId): { visit: number; index: number } | null {
  const parts = (scope ?? '').split('/');
  for (let at = 0; at + 1 < parts.length; at += 1) {
    const [node, visit] = (parts[at] ?? '').split('.');
    if (node === each && /^\d+$/.test(parts[at + 1] ?? ''))
      return { visit: Number(visit), index: Number(parts[at + 1]) };
  }
  return null;
}

const WAITING = new Set(['waiting', 'timer', 'open', 'joining', 'halted']);

/** How many items there are, where that can be told from the outside. */
function count(graph: Graph, id: NodeId, seen: Seen): number | null {
  const items = graph.nodes[id]?.items;
  if (Array.isArray(items)) return items.length;
  const path = typeof items === 'string' ? /^=\s*(input|vars|nodes)\.([\w.]+)\s*$/.exec(items) : null;
  if (!path) return null;
  const outputs = Object.fromEntries(Object.entries(seen.nodes).map(([node, run]) => [node, run.lastOutput ?? null]));
  let value: unknown = { input: seen.input, vars: seen.vars, nodes: outputs }[path[1] as 'input'];
  for (const part of (path[2] ?? '').split('.')) value = isObject(value) ? value[part] : undefined;
  return Array.isArray(value) ? value.length : null;
}

/** A failed item's place among the results holds its error. */
const failure = (result: Json): string | null =>
  isObject(result) &&
  Object.keys(result).length === 1 &&
  isObject(result.error) &&
  typeof result.error.code === 'string'
    ? `${result.error.code}${result.error.message ? `: ${String(result.error.message)}` : ''}`
    : null;

/** The items of a for-each that have begun. Empty for one that was never reached. */
export function itemsOf(graph: Graph, id: NodeId, seen: Seen): Item[] {
  const run = seen.nodes[id];
  if (!run || run.visits === 0) return [];
  if (Array.isArray(run.lastOutput) && run.state !== 'active')
    return run.lastOutput.map((result, index) => {
      const message = failure(result);
      return { index, state: message === null ? 'done' : 'failed', nodes: [], ...(message ? { message } : {}) };
    });
  const byItem = new Map<number, Token[]>();
  let visit = 0;
  for (const token of seen.tokens) {
    const at = itemOf(token.scope, id);
    if (!at || at.visit < visit) continue;
    // Only the items of its latest visit are of interest.
    if (at.visit > visit) byItem.clear();
    visit = at.visit;
    byItem.set(at.index, [...(byItem.get(at.index) ?? []), token]);
  }
  // Items begin in order. Each passes the first nodes once, and those of earlier visits are not counted again.
  const led = new Set(graph.edges.map((edge) => edge.to));
  const first = childrenOf(graph, id).filter((inner) => !led.has(inner));
  const passed = run.visits === 1 ? Math.max(0, ...first.map((inner) => seen.nodes[inner]?.visits ?? 0)) : 0;
  const begun = Math.max(passed, ...[...byItem.keys()].map((index) => index + 1));
  return Array.from({ length: begun }, (_, index): Item => {
    const tokens = byItem.get(index);
    if (!tokens) return { index, state: 'done', nodes: [] };
    const nodes = [...new Set(tokens.map((token) => token.node))];
    const broken = tokens.find((token) => token.state === 'incident');
    if (broken) return { index, state: 'incident', nodes, message: broken.error?.message ?? '' };
    return { index, state: tokens.every((token) => WAITING.has(token.state)) ? 'waiting' : 'running', nodes };
  });
}

/** The numbers of every for-each, for the canvas. */
export function progress(graph: Graph, seen: Seen): Record<NodeId, Items> {
  const all: Record<NodeId, Items> = {};
  for (const [id, node] of Object.entries(graph.nodes)) {
    if (node.type !== 'for-each') continue;
    const items = itemsOf(graph, id, seen);
    const of = (state: Item['state']) => items.filter((item) => item.state === state).length;
    if (items.length === 0) continue;
    all[id] = {
      done: of('done'),
      running: of('running'),
      waiting: of('waiting'),
      failed: of('incident') + of('failed'),
      all: seen.nodes[id]?.state === 'active' ? count(graph, id, seen) : items.length,
    };
  }
  return all;
}

export interface CalledRun {
  /** `each.1/0/pay.1/` */
  path: string;
  visit: number;
  nodes: Record<NodeId, NodeRun>;
  tokens: Token[];
}

/** What a call has run, one entry for each of its runs, the latest last. */
export function calledRuns(id: NodeId, seen: Seen): CalledRun[] {
  const runs = new Map<string, CalledRun>();
  const place = (path: string): { run: CalledRun; node: string } | null => {
    const parts = path.split('/');
    const at = parts.findIndex((part) => part.split('.')[0] === id && /^\d+$/.test(part.split('.')[1] ?? ''));
    if (at < 0 || at === parts.length - 1) return null;
    const prefix = `${parts.slice(0, at + 1).join('/')}/`;
    const run = runs.get(prefix) ?? {
      path: prefix,
      visit: Number((parts[at] ?? '').split('.')[1]),
      nodes: {},
      tokens: [],
    };
    runs.set(prefix, run);
    return { run, node: parts.slice(at + 1).join('/') };
  };
  for (const [path, run] of Object.entries(seen.nodes)) {
    const found = path.includes('/') ? place(path) : null;
    if (found) found.run.nodes[found.node] = run;
  }
  for (const token of seen.tokens) {
    const found = token.node.includes('/') ? place(token.node) : null;
    if (found) found.run.tokens.push({ ...token, node: found.node });
  }
  return [...runs.values()];
}

/** The calls on the drawing that a path goes through, the outermost first: what to show for a token inside of one. */
export function shownFor(graph: Graph, node: string): NodeId {
  if (!node.includes('/')) return node;
  const names = node.split('/').map((part) => part.split('.')[0] ?? '');
  return names.find((name) => graph.nodes[name]?.type === 'call') ?? node;
}

const WORST: NodeRun['state'][] = ['incident', 'failed', 'active', 'waiting', 'done', 'undone', 'skipped'];

/** The runs of a node by the items of a container around it, as one. */
function together(one: NodeRun | undefined, other: NodeRun): NodeRun {
  if (!one) return other;
  const [first, second] = WORST.indexOf(one.state) <= WORST.indexOf(other.state) ? [one, other] : [other, one];
  return { ...first, visits: first.visits + second.visits, attempts: Math.max(first.attempts, second.attempts) };
}

/** Where in its own flow a path leads to, in the drawing of that flow: containers are passed, a further call is not. */
function placeIn(graph: Graph, rest: string): string {
  const parts = rest.split('/');
  const further = parts.findIndex(
    (part, at) => at < parts.length - 1 && graph.nodes[part.split('.')[0] ?? '']?.type === 'call',
  );
  return further < 0 ? (parts.at(-1) ?? rest) : rest;
}

/**
 * The instance as one run of a called flow sees it: `path` is that run's scope, as `pay.1/`, and the names are those of
 * its own drawing. What a flow called from there has run keeps its path, as it does at the top.
 */
export function within(graph: Graph, path: string, instance: InstanceDetail): InstanceDetail {
  if (path === '') return instance;
  const nodes: Record<NodeId, NodeRun> = {};
  for (const [at, run] of Object.entries(instance.nodes)) {
    if (!at.startsWith(path)) continue;
    const id = placeIn(graph, at.slice(path.length));
    nodes[id] = together(nodes[id], run);
  }
  const tokens = instance.tokens
    .filter((token) => token.node.startsWith(path))
    .map((token) => ({
      ...token,
      node: placeIn(graph, token.node.slice(path.length)),
      scope: token.scope?.startsWith(path) ? token.scope.slice(path.length) || null : token.scope,
    }));
  const undoPlan = instance.undoPlan
    .filter((step) => step.node.startsWith(path))
    .map((step) => ({ ...step, node: placeIn(graph, step.node.slice(path.length)) }));
  return { ...instance, nodes, tokens, undoPlan };
}

/** The journal of one run of a called flow, in the names of its own drawing. */
export function journalWithin(graph: Graph, path: string, journal: JournalEntry[]): JournalEntry[] {
  if (path === '') return journal;
  return journal
    .filter((entry) => entry.node?.startsWith(path))
    .map((entry) => ({ ...entry, node: placeIn(graph, (entry.node ?? '').slice(path.length)) }));
}
