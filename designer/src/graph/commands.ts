// Every change one can make to a flow, each a pure function from a document to the next. A refusal is a value with a
// reason, so that the canvas can say why. Nothing here knows of screens, servers or history.
import {
  type Boundary,
  edgeIndex,
  type FlowEdge,
  type FlowNode,
  freeId,
  type Graph,
  ID,
  type NodeId,
  type Point,
  type Title,
} from './document';
import { GRID, placeAfter, positions, sizeOf, tidy } from './layout';
import { edgesFrom, hasInput, hasOutput, isChoice, manyEdges, type Ports } from './ports';

export type Reason =
  | 'no-such-node'
  | 'no-such-edge'
  | 'port-taken'
  | 'already-connected'
  | 'to-itself'
  | 'has-no-input'
  | 'has-no-output'
  | 'id-taken'
  | 'id-not-valid'
  | 'name-taken'
  | 'one-start-only'
  | 'nothing-to-paste'
  | 'nothing-changed';

export type Edit = { ok: true; graph: Graph; added?: NodeId[] } | { ok: false; reason: Reason };

const no = (reason: Reason): Edit => ({ ok: false, reason });
const yes = (graph: Graph, added?: NodeId[]): Edit => (added ? { ok: true, graph, added } : { ok: true, graph });

function without<T>(record: Record<string, T>, keys: Iterable<string>): Record<string, T> {
  const gone = new Set(keys);
  return Object.fromEntries(Object.entries(record).filter(([key]) => !gone.has(key)));
}

const place = (graph: Graph, id: NodeId, at: Point): Record<NodeId, Point> => ({
  ...graph.layout,
  [id]: { x: Math.round(at.x / GRID) * GRID, y: Math.round(at.y / GRID) * GRID },
});

/** What a new construct begins with: enough to be valid where that is possible. */
export function blank(type: string): FlowNode {
  switch (type) {
    case 'timer':
      return { type, after: '30m' };
    case 'receive':
      return { type, message: '', key: '=flow.businessKey', timeout: '24h' };
    case 'set':
      return { type, vars: {} };
    case 'end':
    case 'reply':
      return { type, output: {} };
    case 'throw':
      return { type, code: '', message: '' };
    case 'decision':
      return { type, table: { hitPolicy: 'first', inputs: [], outputs: [], rules: [] } };
    default:
      return { type };
  }
}

const hasStart = (graph: Graph): boolean => Object.values(graph.nodes).some((node) => node.type === 'start');

/** A node type's last part makes a good id; `x-y` becomes `x_y`. */
const wantedId = (node: FlowNode): string =>
  (node.uses ? (node.uses.split('/').pop() ?? '').split('@')[0] : node.type) || node.type;

export function addNode(graph: Graph, node: FlowNode, at: Point): Edit {
  if (node.type === 'start' && hasStart(graph)) return no('one-start-only');
  const id = freeId(graph, wantedId(node));
  return yes({ ...graph, nodes: { ...graph.nodes, [id]: node }, layout: place(graph, id, at) }, [id]);
}

/** Adds a node to the right of another and connects it from `port`. */
export function addAfter(
  graph: Graph,
  after: NodeId,
  port: string | undefined,
  node: FlowNode,
  catalogue: Ports,
): Edit {
  if (graph.nodes[after] === undefined) return no('no-such-node');
  if (!hasInput(node)) return no('has-no-input');
  const added = addNode(graph, node, placeAfter(graph, after, node, catalogue));
  const id = added.ok ? added.added?.[0] : undefined;
  if (!added.ok || id === undefined) return added;
  const connected = connect(added.graph, after, port, id, catalogue);
  return connected.ok ? yes(connected.graph, [id]) : connected;
}

/** Puts a node in the middle of an edge, and moves what follows to the right to make room. */
export function insertOnEdge(graph: Graph, edge: string, node: FlowNode, catalogue: Ports): Edit {
  const index = edgeIndex(graph, edge);
  const old = graph.edges[index];
  if (!old) return no('no-such-edge');
  if (!hasInput(node)) return no('has-no-input');
  if (!hasOutput(node)) return no('has-no-output');
  const all = positions(graph, catalogue);
  const from = graph.nodes[old.from];
  const to = graph.nodes[old.to];
  const start = all[old.from];
  const end = all[old.to];
  if (!from || !to || !start || !end) return no('no-such-node');
  const fromSize = sizeOf(from, catalogue);
  const size = sizeOf(node, catalogue);
  const x = start.x + fromSize.width + 72;
  const room = end.x - x - size.width - 72;
  const layout = { ...all };
  if (room < 0 && end.x > start.x) {
    for (const [id, point] of Object.entries(all)) {
      if (point.x >= end.x - GRID) layout[id] = { x: Math.round((point.x - room) / GRID) * GRID, y: point.y };
    }
  }
  const id = freeId(graph, wantedId(node));
  const targetSize = sizeOf(to, catalogue);
  const at = {
    x: room > 0 ? x + room / 2 : x,
    y: end.y + Math.min(targetSize.height, 64) / 2 - Math.min(size.height, 64) / 2,
  };
  const edges = [...graph.edges];
  // The first way out of a choice is the one taken when nothing else holds.
  const onward: FlowEdge = { from: id, to: old.to, ...(isChoice(node.type) ? { default: true } : {}) };
  edges.splice(index, 1, { ...old, to: id }, onward);
  const next = { ...graph, nodes: { ...graph.nodes, [id]: node }, edges, layout };
  return yes({ ...next, layout: place(next, id, at) }, [id]);
}

/** Draws an edge. Gateways send many; every other port sends one, and a second drawing moves it. */
export function connect(graph: Graph, from: NodeId, port: string | undefined, to: NodeId, catalogue: Ports): Edit {
  const refused = refusal(graph, from, port, to, catalogue);
  if (refused) return no(refused);
  const source = graph.nodes[from];
  const edge: FlowEdge = port === undefined ? { from, to } : { from, port, to };
  if (isChoice(source?.type)) {
    const siblings = edgesFrom(graph, from, port, catalogue);
    // The first way out of a choice is the one taken when nothing else holds, until the author says otherwise.
    if (siblings.length === 0) edge.default = true;
    else edge.when = '';
  }
  return yes({ ...graph, edges: [...graph.edges, edge] });
}

/** Why an edge cannot be drawn; undefined if it can. The canvas asks while the pointer still moves. */
export function refusal(
  graph: Graph,
  from: NodeId,
  port: string | undefined,
  to: NodeId,
  catalogue: Ports,
): Reason | undefined {
  const source = graph.nodes[from];
  const target = graph.nodes[to];
  if (!source || !target) return 'no-such-node';
  if (from === to) return 'to-itself';
  if (!hasOutput(source)) return 'has-no-output';
  if (!hasInput(target)) return 'has-no-input';
  const taken = edgesFrom(graph, from, port, catalogue);
  if (taken.some((edge) => edge.to === to)) return 'already-connected';
  if (taken.length > 0 && !manyEdges(source)) return 'port-taken';
  return undefined;
}

/** Moves one end of an edge. */
export function reconnect(
  graph: Graph,
  edge: string,
  from: NodeId,
  port: string | undefined,
  to: NodeId,
  catalogue: Ports,
): Edit {
  const index = edgeIndex(graph, edge);
  const old = graph.edges[index];
  if (!old) return no('no-such-edge');
  const rest = { ...graph, edges: graph.edges.filter((_, at) => at !== index) };
  const refused = refusal(rest, from, port, to, catalogue);
  if (refused) return no(refused);
  const { port: _, ...kept } = old;
  const edges = [...graph.edges];
  edges[index] = port === undefined ? { ...kept, from, to } : { ...kept, from, port, to };
  return yes({ ...graph, edges });
}

/** Deletes nodes and edges. A node with one way in and one way out is taken out of its line, which closes again. */
export function remove(graph: Graph, nodes: NodeId[], edges: string[]): Edit {
  const gone = new Set(nodes.filter((id) => graph.nodes[id] !== undefined));
  const cut = new Set(edges.map((id) => edgeIndex(graph, id)).filter((index) => index >= 0));
  if (gone.size === 0 && cut.size === 0) return no('nothing-changed');
  let kept = graph.edges.filter((_, index) => !cut.has(index));
  for (const id of gone) {
    const into = kept.filter((edge) => edge.to === id);
    const out = kept.filter((edge) => edge.from === id);
    const before = into[0];
    const after = out[0];
    const heals = into.length === 1 && out.length === 1 && before && after && before.from !== after.to;
    const doubled = kept.some(
      (edge) => edge.from === before?.from && edge.port === before.port && edge.to === after?.to,
    );
    // In place: the order of edges is the order in which a choice tries them.
    if (heals && !doubled) kept = kept.map((edge) => (edge === before ? { ...before, to: after.to } : edge));
    kept = kept.filter((edge) => edge.from !== id && edge.to !== id);
  }
  // A line that healed onto a node that also goes has nowhere to end.
  kept = kept.filter((edge) => !gone.has(edge.from) && !gone.has(edge.to));
  const layout = graph.layout ? { layout: without(graph.layout, gone) } : {};
  return yes({ ...graph, nodes: without(graph.nodes, gone), edges: kept, ...layout });
}

/** Sets fields of a node; a field given as undefined is taken away. */
export function patchNode(graph: Graph, id: NodeId, patch: Partial<FlowNode>): Edit {
  const node = graph.nodes[id];
  if (!node) return no('no-such-node');
  return yes({ ...graph, nodes: { ...graph.nodes, [id]: clean({ ...node, ...patch }) as FlowNode } });
}

export function patchEdge(graph: Graph, edge: string, patch: Partial<FlowEdge>): Edit {
  const index = edgeIndex(graph, edge);
  const old = graph.edges[index];
  if (!old) return no('no-such-edge');
  const edges = graph.edges.map((other, at) => {
    if (at === index) return clean({ ...old, ...patch }) as FlowEdge;
    // A choice has one default.
    if (patch.default && other.from === old.from && other.default) {
      const { default: _, ...rest } = other;
      return { ...rest, when: rest.when ?? '' };
    }
    return other;
  });
  return yes({ ...graph, edges });
}

function clean(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

/** Changes a node's id, and every edge and every expression that names it. */
export function renameNode(graph: Graph, id: NodeId, to: NodeId): Edit {
  if (graph.nodes[id] === undefined) return no('no-such-node');
  if (id === to) return no('nothing-changed');
  if (!ID.test(to)) return no('id-not-valid');
  if (graph.nodes[to] !== undefined) return no('id-taken');
  const mention = new RegExp(`\\bnodes\\.${id}\\b`, 'g');
  const rewrite = (value: unknown, expression: boolean): unknown => {
    if (typeof value === 'string')
      return expression || value.startsWith('=') ? value.replace(mention, `nodes.${to}`) : value;
    if (Array.isArray(value)) return value.map((item) => rewrite(item, expression));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          key,
          rewrite(item, expression || key === 'when' || key === 'until' || key === 'field'),
        ]),
      );
    }
    return value;
  };
  const nodes = Object.fromEntries(
    Object.entries(graph.nodes).map(([key, node]) => [key === id ? to : key, rewrite(node, false) as FlowNode]),
  );
  const edges = graph.edges.map((edge) => ({
    ...(rewrite(edge, false) as FlowEdge),
    from: edge.from === id ? to : edge.from,
    to: edge.to === id ? to : edge.to,
  }));
  const layout = graph.layout
    ? { layout: Object.fromEntries(Object.entries(graph.layout).map(([key, point]) => [key === id ? to : key, point])) }
    : {};
  return yes({ ...graph, nodes, edges, ...layout });
}

export function move(graph: Graph, to: Record<NodeId, Point>): Edit {
  let layout = graph.layout ?? {};
  let changed = false;
  for (const [id, at] of Object.entries(to)) {
    if (graph.nodes[id] === undefined) continue;
    const old = layout[id];
    const next = place({ ...graph, layout }, id, at);
    if (old?.x === next[id]?.x && old?.y === next[id]?.y) continue;
    layout = next;
    changed = true;
  }
  return changed ? yes({ ...graph, layout }) : no('nothing-changed');
}

export function tidyUp(graph: Graph, catalogue: Ports): Edit {
  return yes({ ...graph, layout: tidy(graph, catalogue) });
}

export function setMeta(graph: Graph, patch: Record<string, unknown>): Edit {
  return yes(clean({ ...graph, ...patch }) as Graph);
}

/** Adds a boundary handler under a free port name. */
export function addBoundary(graph: Graph, id: NodeId, wanted: string, boundary: Boundary): Edit {
  const node = graph.nodes[id];
  if (!node) return no('no-such-node');
  const taken = node.on ?? {};
  const base =
    wanted
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/^_+|_+$/g, '') || 'error';
  let name = base;
  for (let n = 2; taken[name] !== undefined; n += 1) name = `${base}_${n}`;
  return patchNode(graph, id, { on: { ...taken, [name]: boundary } });
}

/** Takes a handler away, with the edges that leave from it. */
export function removeBoundary(graph: Graph, id: NodeId, name: string): Edit {
  const node = graph.nodes[id];
  if (!node?.on?.[name]) return no('no-such-node');
  const rest = without(node.on, [name]);
  const patched = patchNode(graph, id, { on: Object.keys(rest).length > 0 ? rest : undefined });
  if (!patched.ok) return patched;
  return yes({
    ...patched.graph,
    edges: patched.graph.edges.filter((edge) => !(edge.from === id && edge.port === name)),
  });
}

export function renameBoundary(graph: Graph, id: NodeId, name: string, to: string): Edit {
  const node = graph.nodes[id];
  if (!node?.on?.[name]) return no('no-such-node');
  if (name === to) return no('nothing-changed');
  if (!ID.test(to)) return no('id-not-valid');
  if (node.on[to]) return no('name-taken');
  const on = Object.fromEntries(Object.entries(node.on).map(([key, value]) => [key === name ? to : key, value]));
  const patched = patchNode(graph, id, { on });
  if (!patched.ok) return patched;
  return yes({
    ...patched.graph,
    edges: patched.graph.edges.map((edge) => (edge.from === id && edge.port === name ? { ...edge, port: to } : edge)),
  });
}

/** Changes the order in which a choice tries its ways out. */
export function moveEdge(graph: Graph, edge: string, by: -1 | 1): Edit {
  const index = edgeIndex(graph, edge);
  const old = graph.edges[index];
  if (!old) return no('no-such-edge');
  const siblings = graph.edges.map((other, at) => ({ other, at })).filter(({ other }) => other.from === old.from);
  const place_ = siblings.findIndex(({ at }) => at === index);
  const swap = siblings[place_ + by];
  if (!swap) return no('nothing-changed');
  const edges = [...graph.edges];
  edges[index] = swap.other;
  edges[swap.at] = old;
  return yes({ ...graph, edges });
}

export const titleOf = (node: FlowNode | undefined): Title | undefined => node?.title;
