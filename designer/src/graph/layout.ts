// Where boxes stand. Sizes are fixed by the kind of node, so that a flow can be laid out before it is drawn.
import dagre from '@dagrejs/dagre';
import type { FlowEdge, FlowNode, Graph, NodeId, Point } from './document';
import { flowOrder } from './order';
import { isEvent, isGateway, type Ports, portsOf } from './ports';

export const GRID = 8;
// Halves are multiples of the grid, so that boxes of different kinds can stand on one line.
const CARD = { width: 224, height: 64 };
const PORT_ROW = 24;
const ROUND = { width: 48, height: 48 };
/** The line on which edges enter and leave, from the top of the box. */
const axisOf = (node: FlowNode): number => (shapeOf(node) === 'card' ? CARD.height : ROUND.height) / 2;
const STRAIGHTEN_MAX = 56;
const GAP = 24;

export interface Size {
  width: number;
  height: number;
}

export const shapeOf = (node: FlowNode): 'card' | 'diamond' | 'circle' =>
  isGateway(node.type) ? 'diamond' : isEvent(node.type) ? 'circle' : 'card';

export function sizeOf(node: FlowNode, catalogue: Ports): Size {
  if (shapeOf(node) !== 'card') return ROUND;
  const extra = Math.max(0, portsOf(node, catalogue).length - 1);
  return { width: CARD.width, height: CARD.height + (extra > 0 ? extra * PORT_ROW + 8 : 0) };
}

const snap = (value: number): number => Math.round(value / GRID) * GRID;

/** Left to right, layers by distance from the start. Labels under round nodes get room of their own. */
export function tidy(graph: Graph, catalogue: Ports): Record<NodeId, Point> {
  const plan = new dagre.graphlib.Graph({ multigraph: true });
  plan.setGraph({ rankdir: 'LR', nodesep: 44, ranksep: 60, marginx: 0, marginy: 0, ranker: 'network-simplex' });
  plan.setDefaultEdgeLabel(() => ({}));
  for (const [id, node] of Object.entries(graph.nodes)) {
    const size = sizeOf(node, catalogue);
    const round = shapeOf(node) !== 'card';
    // Boxes are planned symmetric about their axis: then equal heights in the plan mean straight lines in the drawing.
    const below = size.height - axisOf(node);
    plan.setNode(id, { width: round ? size.width + 20 : size.width, height: round ? size.height + 64 : below * 2 });
  }
  graph.edges.forEach((edge, index) => {
    const labelled = edge.when !== undefined || edge.default === true;
    plan.setEdge(
      edge.from,
      edge.to,
      { weight: weightOf(edge), minlen: 1, width: labelled ? 112 : 0, height: labelled ? 18 : 0, labelpos: 'c' },
      String(index),
    );
  });
  dagre.layout(plan);
  const axis: Record<NodeId, Point> = {};
  for (const id of Object.keys(graph.nodes)) {
    const placed = plan.node(id);
    axis[id] = { x: placed.x, y: snap(placed.y) };
  }
  straighten(graph, axis, catalogue);
  const layout: Record<NodeId, Point> = {};
  for (const [id, node] of Object.entries(graph.nodes)) {
    const at = axis[id] ?? { x: 0, y: 0 };
    layout[id] = { x: snap(at.x - sizeOf(node, catalogue).width / 2), y: at.y - axisOf(node) };
  }
  return layout;
}

/** The plain way on is kept straight; handlers and defaults bend around it. */
const weightOf = (edge: FlowEdge): number => (edge.port !== undefined ? 1 : edge.default ? 2 : 4);

/** Takes small jogs out of the main line: a node moves onto its predecessor's axis where nothing stands in the way. */
function straighten(graph: Graph, axis: Record<NodeId, Point>, catalogue: Ports): void {
  for (const id of flowOrder(graph)) {
    const into = graph.edges.filter((edge) => edge.to === id).sort((a, b) => weightOf(b) - weightOf(a))[0];
    const me = axis[id];
    const before = into ? axis[into.from] : undefined;
    const node = graph.nodes[id];
    if (!into || !me || !before || !node || Math.abs(before.y - me.y) > STRAIGHTEN_MAX) continue;
    const best = Math.max(...graph.edges.filter((edge) => edge.from === into.from).map(weightOf));
    const rivals = graph.edges.filter((edge) => edge.from === into.from && weightOf(edge) === best);
    // Even branches stay even.
    if (weightOf(into) < best || rivals.length > 1) continue;
    const clear = Object.entries(graph.nodes).every(([other, otherNode]) => {
      const at = axis[other];
      if (other === id || !at) return true;
      const apartX =
        Math.abs(at.x - me.x) > (sizeOf(otherNode, catalogue).width + sizeOf(node, catalogue).width) / 2 + GAP;
      const reach = (one: FlowNode) => (shapeOf(one) === 'card' ? sizeOf(one, catalogue).height : 104) / 2;
      return apartX || Math.abs(at.y - before.y) > reach(otherNode) + reach(node) + GAP;
    });
    if (clear) axis[id] = { x: me.x, y: before.y };
  }
}

/** The stored place of every node; nodes without one are laid out around those that have. */
export function positions(graph: Graph, catalogue: Ports): Record<NodeId, Point> {
  const stored = graph.layout ?? {};
  const ids = Object.keys(graph.nodes);
  const missing = ids.filter((id) => stored[id] === undefined);
  if (missing.length === 0) return stored;
  const fresh = tidy(graph, catalogue);
  if (missing.length > ids.length / 2) return fresh;
  const anchor = ids.find((id) => stored[id] !== undefined);
  const from = anchor ? fresh[anchor] : undefined;
  const to = anchor ? stored[anchor] : undefined;
  const dx = from && to ? to.x - from.x : 0;
  const dy = from && to ? to.y - from.y : 0;
  const all = { ...stored };
  for (const id of missing) {
    const point = fresh[id] ?? { x: 0, y: 0 };
    all[id] = { x: point.x + dx, y: point.y + dy };
  }
  return all;
}

/** A free place for a new node to the right of `after`, below whatever stands there already. */
export function placeAfter(graph: Graph, after: NodeId, node: FlowNode, catalogue: Ports): Point {
  const all = positions(graph, catalogue);
  const anchor = graph.nodes[after];
  const at = all[after];
  if (!anchor || !at) return { x: 0, y: 0 };
  const from = sizeOf(anchor, catalogue);
  const size = sizeOf(node, catalogue);
  const x = snap(at.x + from.width + 64);
  let y = snap(at.y + Math.min(from.height, 64) / 2 - Math.min(size.height, 64) / 2);
  const hit = () =>
    Object.entries(graph.nodes).some(([id, other]) => {
      const point = all[id];
      if (!point) return false;
      const box = sizeOf(other, catalogue);
      return (
        x < point.x + box.width + 24 &&
        point.x < x + size.width + 24 &&
        y < point.y + box.height + 32 &&
        point.y < y + size.height + 32
      );
    });
  for (let tries = 0; tries < 40 && hit(); tries += 1) y += 3 * GRID;
  return { x, y };
}
