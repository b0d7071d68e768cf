// Every change one can make to a flow, each a pure function from a document to the next. A refusal is a value with a
// reason, so that the canvas can say why. Nothing here knows of screens, servers or history.
import { crosses, isContainer, parentOf, settleSteps, withContents } from './containers';
import {
  edgeIndex,
  type FlowEdge,
  type FlowNode,
  freeId,
  type Graph,
  type NodeId,
  type Place,
  type Point,
  type Title,
} from './document';
import { clean, type Edit, no, type Reason, without, yes } from './edit';
import { boxes, isFrame, pinned, placeAfter, placeInside, spread } from './frames';
import { axisOf, COLUMN_GAP, FRAME, frameAround, GRID, sizeOf, tidy } from './layout';
import { forget } from './naming';
import { edgesFrom, hasInput, hasOutput, isChoice, manyEdges, type Ports } from './ports';

export type { Edit, Reason } from './edit';
export * from './handlers';
export { renameNode } from './naming';

const place = (graph: Graph, id: NodeId, at: Point): Record<NodeId, Place> => ({
  ...graph.layout,
  [id]: { ...graph.layout?.[id], x: Math.round(at.x / GRID) * GRID, y: Math.round(at.y / GRID) * GRID },
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
    case 'user-task':
      return { type, form: { type: 'object', properties: {} } };
    case 'external-task':
      return { type, topic: '' };
    case 'call':
      return { type, flow: '' };
    case 'for-each':
      return { type, items: '=input.items' };
    case 'stage':
      return { type };
    case 'cancel':
      return { type, nodes: [] };
    default:
      return { type };
  }
}

const hasStart = (graph: Graph): boolean => Object.values(graph.nodes).some((node) => node.type === 'start');

/** A node type's last part makes a good id; `x-y` becomes `x_y`. */
const wantedId = (node: FlowNode): string =>
  (node.uses ? (node.uses.split('/').pop() ?? '').split('@')[0] : node.type) || node.type;

/** A node goes into `inside`, or onto the canvas itself. */
export function addNode(graph: Graph, node: FlowNode, at: Point, inside?: NodeId): Edit {
  if (node.type === 'start' && hasStart(graph)) return no('one-start-only');
  if (node.type === 'start' && inside !== undefined) return no('start-inside');
  if (inside !== undefined && !isContainer(graph.nodes[inside])) return no('not-a-container');
  const id = freeId(graph, wantedId(node));
  const put = inside === undefined ? node : { ...node, in: inside };
  const next = { ...graph, nodes: { ...graph.nodes, [id]: put }, layout: place(graph, id, at) };
  return yes(settleSteps(next), [id]);
}

/** Adds a node to a container, behind what is in it already. */
export function addInside(graph: Graph, container: NodeId, node: FlowNode, catalogue: Ports): Edit {
  if (!isContainer(graph.nodes[container])) return no('not-a-container');
  const open = isFrame(graph, container) ? graph : setCollapsed(graph, container, false, catalogue);
  const fixed = pinned(open, catalogue);
  const added = addNode(fixed, node, placeInside(fixed, container, node, catalogue), container);
  return added.ok ? { ...added, graph: spread(fixed, added.graph, container, catalogue) } : added;
}

/** Adds a node to the right of another, in the same container, and connects it from `port`. */
export function addAfter(
  graph: Graph,
  after: NodeId,
  port: string | undefined,
  node: FlowNode,
  catalogue: Ports,
): Edit {
  if (graph.nodes[after] === undefined) return no('no-such-node');
  if (!hasInput(node)) return no('has-no-input');
  const inside = parentOf(graph, after);
  const fixed = inside === undefined ? graph : pinned(graph, catalogue);
  const added = addNode(fixed, node, placeAfter(graph, after, node, catalogue), inside);
  const id = added.ok ? added.added?.[0] : undefined;
  if (!added.ok || id === undefined) return added;
  const connected = connect(added.graph, after, port, id, catalogue);
  return connected.ok ? yes(spread(fixed, connected.graph, inside, catalogue), [id]) : connected;
}

/** Puts a node in the middle of an edge, and moves what follows to the right to make room. */
export function insertOnEdge(graph: Graph, edge: string, node: FlowNode, catalogue: Ports): Edit {
  const index = edgeIndex(graph, edge);
  const old = graph.edges[index];
  if (!old) return no('no-such-edge');
  if (!hasInput(node)) return no('has-no-input');
  if (!hasOutput(node)) return no('has-no-output');
  const fixed = pinned(graph, catalogue);
  const all = boxes(graph, catalogue);
  const start = all[old.from];
  const end = all[old.to];
  const to = graph.nodes[old.to];
  if (!start || !end || !to) return no('no-such-node');
  const inside = parentOf(graph, old.from);
  const frame = isContainer(node);
  const size = frame ? frameAround(node, null, catalogue) : sizeOf(node, catalogue);
  const x = start.x + start.width + 72;
  const room = end.x - x - size.width - 72;
  const layout = { ...fixed.layout };
  if (room < 0 && end.x > start.x) {
    const behind = Object.keys(all).filter((id) => parentOf(graph, id) === inside && (all[id]?.x ?? 0) >= end.x - GRID);
    for (const id of withContents(graph, behind)) {
      const at = layout[id];
      if (at) layout[id] = { ...at, x: Math.round((at.x - room) / GRID) * GRID };
    }
  }
  const id = freeId(graph, wantedId(node));
  const line = end.y + axisOf(to, isFrame(graph, old.to));
  const at = { x: room > 0 ? x + room / 2 : x, y: line - axisOf(node, frame) };
  const edges = [...graph.edges];
  // The first way out of a choice is the one taken when nothing else holds.
  const onward: FlowEdge = { from: id, to: old.to, ...(isChoice(node.type) ? { default: true } : {}) };
  edges.splice(index, 1, { ...old, to: id }, onward);
  const put = inside === undefined ? node : { ...node, in: inside };
  const next = { ...graph, nodes: { ...graph.nodes, [id]: put }, edges, layout };
  const placed = settleSteps({ ...next, layout: place(next, id, at) });
  return yes(spread(fixed, placed, inside, catalogue), [id]);
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
  return yes(settleSteps({ ...graph, edges: [...graph.edges, edge] }));
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
  if (crosses(graph, from, to)) return 'edge-crosses';
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
  return yes(settleSteps({ ...graph, edges }));
}

/** Deletes nodes with all that is in them, and edges. A node with one way in and one way out is taken out of its line,
 *  which closes again. */
export function remove(graph: Graph, nodes: NodeId[], edges: string[]): Edit {
  const gone = withContents(graph, nodes);
  const cut = new Set(edges.map((id) => edgeIndex(graph, id)).filter((index) => index >= 0));
  if (gone.size === 0 && cut.size === 0) return no('nothing-changed');
  let kept = graph.edges.filter((_, index) => !cut.has(index));
  for (const id of gone) kept = takenOut(kept, id);
  // A line that healed onto a node that also goes has nowhere to end.
  kept = kept.filter((edge) => !gone.has(edge.from) && !gone.has(edge.to));
  const layout = graph.layout ? { layout: without(graph.layout, gone) } : {};
  const left = forget(without(graph.nodes, gone), gone);
  return yes(settleSteps({ ...graph, nodes: left, edges: kept, ...layout }));
}

/** The edges without those of a node; its line closes again where it is clear how. */
function takenOut(edges: FlowEdge[], id: NodeId, stays: (edge: FlowEdge) => boolean = () => false): FlowEdge[] {
  let kept = edges;
  const into = kept.filter((edge) => edge.to === id && !stays(edge));
  const out = kept.filter((edge) => edge.from === id && !stays(edge));
  const before = into[0];
  const after = out[0];
  const heals = into.length === 1 && out.length === 1 && before && after && before.from !== after.to;
  const doubled = kept.some((edge) => edge.from === before?.from && edge.port === before.port && edge.to === after?.to);
  // In place: the order of edges is the order in which a choice tries them.
  if (heals && !doubled) kept = kept.map((edge) => (edge === before ? { ...before, to: after.to } : edge));
  return kept.filter((edge) => stays(edge) || (edge.from !== id && edge.to !== id));
}

/** Puts nodes into a container, or takes them out onto the canvas. Edges that would then leave a container go; a line
 *  they were taken out of closes again. `at` tells where they were dropped. */
export function moveInto(
  graph: Graph,
  ids: NodeId[],
  container: NodeId | undefined,
  catalogue: Ports,
  at?: Record<NodeId, Point>,
): Edit {
  if (container !== undefined && !isContainer(graph.nodes[container])) return no('not-a-container');
  // What comes along with its own container stays in it.
  const inner = withContents(graph, ids);
  const roots = ids.filter((id) => {
    const parent = graph.nodes[id] ? parentOf(graph, id) : undefined;
    return graph.nodes[id] && !(parent !== undefined && ids.includes(parent));
  });
  const moving = roots.filter((id) => parentOf(graph, id) !== container);
  if (container !== undefined && inner.has(container)) return no('into-itself');
  if (container !== undefined && moving.some((id) => graph.nodes[id]?.type === 'start')) return no('start-inside');
  const fixed = pinned(graph, catalogue);
  let next = at ? moved(fixed, at) : fixed;
  if (moving.length === 0) return at ? move(fixed, at) : no('nothing-changed');
  const nodes = { ...next.nodes };
  for (const id of moving) nodes[id] = clean({ ...nodes[id], in: container }) as FlowNode;
  const after = { ...next, nodes };
  const together = (edge: FlowEdge): boolean => !crosses(after, edge.from, edge.to);
  let edges = next.edges;
  for (const id of moving) edges = takenOut(edges, id, together);
  edges = edges.filter((edge) => together(edge) || crosses(graph, edge.from, edge.to));
  const cut = graph.edges.length - edges.length;
  next = settleSteps({ ...after, edges });
  if (!at) next = settled(fixed, next, moving, container, catalogue);
  const grown = spread(fixed, next, container, catalogue);
  return { ok: true, graph: grown, ...(cut > 0 ? { cut } : {}) };
}

/** Finds places for nodes that were moved without a pointer: behind what is in the container, or beside it. */
function settled(before: Graph, graph: Graph, ids: NodeId[], container: NodeId | undefined, catalogue: Ports): Graph {
  let next = graph;
  for (const id of ids) {
    const node = graph.nodes[id] as FlowNode;
    const out = parentOf(before, id);
    const rest = { ...next, nodes: without(next.nodes, withContents(next, [id])) };
    // Out of a container: below it, so that it is seen where it went.
    const frame = out === undefined ? undefined : boxes(before, catalogue)[out];
    const to =
      container === undefined && frame
        ? { x: frame.x, y: frame.y + frame.height + COLUMN_GAP }
        : placeInside(rest, container, node, catalogue);
    next = moved(next, { [id]: to });
  }
  return next;
}

/** Draws a container around nodes of one level, and leads to it what led to them. */
export function wrap(graph: Graph, ids: NodeId[], node: FlowNode, catalogue: Ports): Edit {
  const roots = ids.filter((id) => graph.nodes[id] && !ids.includes(parentOf(graph, id) ?? ''));
  const [first] = roots;
  if (first === undefined) return no('no-such-node');
  const level = parentOf(graph, first);
  if (roots.some((id) => parentOf(graph, id) !== level)) return no('several-containers');
  if (roots.some((id) => graph.nodes[id]?.type === 'start')) return no('start-inside');
  const inside = new Set(roots);
  const out = graph.edges.filter((edge) => inside.has(edge.from) && !inside.has(edge.to));
  if (new Set(out.map((edge) => edge.to)).size > 1) return no('several-ways-out');
  const fixed = pinned(graph, catalogue);
  const id = freeId(graph, wantedId(node));
  const put = level === undefined ? node : { ...node, in: level };
  const nodes = { ...graph.nodes, [id]: put };
  for (const one of roots) nodes[one] = { ...(nodes[one] as FlowNode), in: id };
  const edges: FlowEdge[] = [];
  for (const edge of graph.edges) {
    const from = inside.has(edge.from);
    const to = inside.has(edge.to);
    if (from && !to) {
      if (edge === out[0]) edges.push({ from: id, to: edge.to });
      continue;
    }
    const led = !from && to ? { ...edge, to: id } : edge;
    if (!edges.some((other) => other.from === led.from && other.port === led.port && other.to === led.to))
      edges.push(led);
  }
  const all = boxes(fixed, catalogue);
  const box = roots.map((one) => all[one]).filter((one) => one !== undefined);
  const at = { x: Math.min(...box.map((one) => one.x)), y: Math.min(...box.map((one) => one.y)) };
  // The frame reaches further than they do: all of them make room for it.
  let next: Graph = { ...fixed, nodes, edges, layout: place({ ...fixed }, id, at) };
  const shift = Object.fromEntries(
    roots.map((one) => [one, { x: (all[one]?.x ?? 0) + FRAME.pad, y: (all[one]?.y ?? 0) + FRAME.pad }]),
  );
  next = moved(next, shift);
  const right = Math.max(...box.map((one) => one.x + one.width));
  const behind = Object.keys(fixed.nodes).filter(
    (one) => parentOf(fixed, one) === level && !inside.has(one) && (all[one]?.x ?? 0) >= right,
  );
  const aside = Object.fromEntries(
    behind.map((one) => [one, { x: (all[one]?.x ?? 0) + 2 * FRAME.pad, y: all[one]?.y ?? 0 }]),
  );
  next = settleSteps(moved(next, aside));
  return yes(spread(fixed, next, level, catalogue), [id]);
}

/** Draws a container as one box, or as a frame again; what stands beside it makes room, or comes back. */
export function collapse(graph: Graph, id: NodeId, closed: boolean, catalogue: Ports): Edit {
  if (!isContainer(graph.nodes[id])) return no('not-a-container');
  if (isFrame(graph, id) === !closed) return no('nothing-changed');
  return yes(setCollapsed(graph, id, closed, catalogue));
}

function setCollapsed(graph: Graph, id: NodeId, closed: boolean, catalogue: Ports): Graph {
  const fixed = pinned(graph, catalogue);
  const at = fixed.layout?.[id] ?? { x: 0, y: 0 };
  const { collapsed: _, ...open } = at;
  // Lines stay level: a card's first row is lower than a frame's head.
  const dy = axisOf({ type: 'task' }) - FRAME.head / 2;
  const next: Place = closed ? { ...open, y: at.y - dy, collapsed: true } : { ...open, y: at.y + dy };
  const layout = { ...fixed.layout, [id]: next };
  const after = { ...fixed, layout };
  return spread(fixed, after, id, catalogue, true);
}

/** Draws a frame at another size, never smaller than what is in it. */
export function resize(
  graph: Graph,
  id: NodeId,
  box: Point & { width: number; height: number },
  catalogue: Ports,
): Edit {
  if (!isFrame(graph, id)) return no('not-a-container');
  const fixed = pinned(graph, catalogue);
  const round = (value: number): number => Math.round(value / GRID) * GRID;
  const at = { x: round(box.x), y: round(box.y), width: round(box.width), height: round(box.height) };
  return yes({ ...fixed, layout: { ...fixed.layout, [id]: at } });
}

/** Lets a frame be as large as what is in it. */
export function fit(graph: Graph, id: NodeId): Edit {
  const at = graph.layout?.[id];
  if (at?.width === undefined && at?.height === undefined) return no('nothing-changed');
  const { width: _w, height: _h, ...rest } = at;
  return yes({ ...graph, layout: { ...graph.layout, [id]: rest } });
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

/** Moves nodes; what is in a container comes along. */
export function move(graph: Graph, to: Record<NodeId, Point>): Edit {
  const next = moved(graph, to);
  return next === graph ? no('nothing-changed') : yes(next);
}

function moved(graph: Graph, to: Record<NodeId, Point>): Graph {
  let layout = graph.layout ?? {};
  let changed = false;
  for (const [id, at] of Object.entries(to)) {
    if (graph.nodes[id] === undefined) continue;
    const old = layout[id];
    const next = place({ ...graph, layout }, id, at);
    const [x, y] = [next[id]?.x ?? 0, next[id]?.y ?? 0];
    if (old?.x === x && old?.y === y) continue;
    layout = next;
    changed = true;
    if (!old || !isContainer(graph.nodes[id])) continue;
    for (const one of withContents(graph, [id])) {
      const place_ = layout[one];
      if (one !== id && place_ && !(one in to))
        layout = { ...layout, [one]: { ...place_, x: place_.x + x - old.x, y: place_.y + y - old.y } };
    }
  }
  return changed ? { ...graph, layout } : graph;
}

export function tidyUp(graph: Graph, catalogue: Ports): Edit {
  return yes({ ...graph, layout: tidy(graph, catalogue) });
}

export function setMeta(graph: Graph, patch: Record<string, unknown>): Edit {
  return yes(clean({ ...graph, ...patch }) as Graph);
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
