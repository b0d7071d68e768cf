// Where boxes stand. Columns follow the distance from the start; lanes follow the story: the way the author meant runs
// straight along the top, and what branches off it (other cases, defaults, handlers) stands below. Sizes are fixed by the
// kind of node, so that a flow can be laid out before it is drawn. No two boxes share a column and a lane.
import type { FlowEdge, FlowNode, Graph, NodeId, Point } from './document';
import { flowOrder } from './order';
import { isEvent, isGateway, type Ports, portsOf } from './ports';

export const GRID = 8;
// Halves are multiples of the grid, so that boxes of different kinds can stand on one line.
const CARD = { width: 224, height: 64 };
const ROUND = { width: 48, height: 48 };
const PORT_ROW = 24;
const COLUMN_GAP = 64;
const LANE_GAP = 40;
const CAPTION = 40;
const LABEL_MAX = 168;

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

/** The line on which edges enter and leave, from the top of the box. */
const axisOf = (node: FlowNode): number => (shapeOf(node) === 'card' ? CARD.height : ROUND.height) / 2;

const snap = (value: number): number => Math.round(value / GRID) * GRID;

/** What goes straight on comes first: plain ways and conditions, then the default, then handlers. */
function strayness(edge: FlowEdge): number {
  if (edge.port !== undefined) return 2;
  return edge.default ? 1 : 0;
}

/** How wide the words on an edge are likely to be drawn. */
function labelWidth(edge: FlowEdge, siblings: number): number {
  const titles = typeof edge.title === 'object' ? Object.values(edge.title) : [edge.title ?? ''];
  const drawn = titles.some((title) => title)
    ? titles
    : [edge.when ?? (edge.default && siblings > 1 ? 'otherwise' : '')];
  // A Chinese character is about as wide as two Latin letters.
  const widths = drawn.map((words) =>
    [...(words ?? '')].reduce((sum, letter) => sum + (letter > '\u2e80' ? 12 : 6.4), 0),
  );
  const width = Math.max(0, ...widths);
  return width === 0 ? 0 : Math.min(LABEL_MAX, width + 28);
}

interface Cells {
  column: Map<NodeId, number>;
  lane: Map<NodeId, number>;
}

function arrange(graph: Graph): Cells {
  const order = flowOrder(graph);
  const at = new Map(order.map((id, index) => [id, index]));
  const out = new Map<NodeId, FlowEdge[]>();
  for (const edge of graph.edges) out.set(edge.from, [...(out.get(edge.from) ?? []), edge]);
  for (const edges of out.values()) edges.sort((a, b) => strayness(a) - strayness(b));

  // Columns: the longest way from the start. Edges that lead back do not count.
  const column = new Map<NodeId, number>(order.map((id) => [id, 0]));
  const forward = (edge: FlowEdge): boolean => (at.get(edge.to) ?? 0) > (at.get(edge.from) ?? 0);
  for (const id of order) {
    for (const edge of out.get(id) ?? []) {
      if (forward(edge)) column.set(edge.to, Math.max(column.get(edge.to) ?? 0, (column.get(id) ?? 0) + 1));
    }
  }

  const lane = new Map<NodeId, number>();
  const taken: Set<number>[] = [];
  const isFree = (where: number, from: number, to: number): boolean => {
    for (let one = from; one <= to; one += 1) if (taken[where]?.has(one)) return false;
    return true;
  };
  const take = (where: number, from: number, to: number): void => {
    taken[where] ??= new Set();
    for (let one = from; one <= to; one += 1) taken[where].add(one);
  };

  const settle = (root: NodeId, wanted: number): void => {
    const queue: { id: NodeId; wanted: number; from: number }[] = [{ id: root, wanted, from: column.get(root) ?? 0 }];
    for (let next = queue.pop(); next; next = queue.pop()) {
      const { id } = next;
      const here = column.get(id) ?? 0;
      if (lane.has(id)) continue;
      let where = next.wanted;
      // The line that leads here needs the cells on its way as well.
      while (!isFree(where, Math.min(next.from, here), here)) where += 1;
      take(where, Math.min(next.from, here), here);
      lane.set(id, where);
      const edges = (out.get(id) ?? []).filter((edge) => forward(edge));
      // A line back up to what already stands keeps this lane free until it turns.
      for (const edge of edges) {
        const there = lane.get(edge.to);
        if (there !== undefined && there < where) take(where, here, (column.get(edge.to) ?? here) - 1);
      }
      const fresh = edges.filter((edge) => !lane.has(edge.to));
      for (let index = fresh.length - 1; index >= 0; index -= 1) {
        const edge = fresh[index];
        if (edge)
          queue.push({ id: edge.to, wanted: index === 0 && strayness(edge) < 2 ? where : where + 1, from: here + 1 });
      }
    }
  };
  for (const id of order) if (!lane.has(id)) settle(id, lane.size === 0 ? 0 : taken.length);
  return { column, lane };
}

/** Columns from the left, lanes from the top. */
export function tidy(graph: Graph, catalogue: Ports): Record<NodeId, Point> {
  const { column, lane } = arrange(graph);
  const ways = new Map<NodeId, number>();
  for (const edge of graph.edges) ways.set(edge.from, (ways.get(edge.from) ?? 0) + 1);
  const widths: number[] = [];
  const gaps: number[] = [];
  const above: number[] = [];
  const below: number[] = [];
  const most = (list: number[], index: number, value: number): void => {
    list[index] = Math.max(list[index] ?? 0, value);
  };
  for (const [id, node] of Object.entries(graph.nodes)) {
    const size = sizeOf(node, catalogue);
    const round = shapeOf(node) !== 'card';
    const captionAbove = round && portsOf(node, catalogue).length > 1;
    most(widths, column.get(id) ?? 0, round ? 72 : size.width);
    most(above, lane.get(id) ?? 0, axisOf(node) + (captionAbove ? CAPTION : 0));
    most(below, lane.get(id) ?? 0, size.height - axisOf(node) + (round && !captionAbove ? CAPTION : 0));
  }
  for (const edge of graph.edges) {
    const words = labelWidth(edge, ways.get(edge.from) ?? 0);
    if (words > 0) most(gaps, column.get(edge.to) ?? 0, words + COLUMN_GAP * 0.9);
  }
  const centres: number[] = [];
  let x = 0;
  for (let index = 0; index < widths.length; index += 1) {
    const width = widths[index] ?? 0;
    if (index > 0) x += Math.max(COLUMN_GAP, gaps[index] ?? 0);
    centres[index] = snap(x + width / 2);
    x += width;
  }
  const axes: number[] = [];
  for (let index = 0; index < above.length; index += 1) {
    const before = axes[index - 1];
    axes[index] = before === undefined ? 0 : snap(before + (below[index - 1] ?? 0) + LANE_GAP + (above[index] ?? 0));
  }
  const layout: Record<NodeId, Point> = {};
  for (const [id, node] of Object.entries(graph.nodes)) {
    const size = sizeOf(node, catalogue);
    layout[id] = {
      x: (centres[column.get(id) ?? 0] ?? 0) - size.width / 2,
      y: (axes[lane.get(id) ?? 0] ?? 0) - axisOf(node),
    };
  }
  return layout;
}

/** Drops places that were made for other sizes of boxes: where several boxes lie on one another, a fresh layout reads better. */
export function unclutter(graph: Graph, catalogue: Ports): Graph {
  const placed = Object.entries(graph.nodes).flatMap(([id, node]) => {
    const at = graph.layout?.[id];
    return at ? [{ ...at, ...sizeOf(node, catalogue) }] : [];
  });
  let hits = 0;
  for (let one = 0; one < placed.length && hits <= 1; one += 1) {
    for (let other = one + 1; other < placed.length; other += 1) {
      const [a, b] = [placed[one], placed[other]];
      if (a && b && a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height)
        hits += 1;
    }
  }
  if (hits <= 1) return graph;
  const { layout: _, ...rest } = graph;
  return rest;
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
  const x = snap(at.x + from.width + COLUMN_GAP);
  let y = snap(at.y + axisOf(anchor) - axisOf(node));
  const hit = () =>
    Object.entries(graph.nodes).some(([id, other]) => {
      const point = all[id];
      if (!point) return false;
      const box = sizeOf(other, catalogue);
      return (
        x < point.x + box.width + 24 &&
        point.x < x + size.width + 24 &&
        y < point.y + box.height + LANE_GAP &&
        point.y < y + size.height + LANE_GAP
      );
    });
  for (let tries = 0; tries < 60 && hit(); tries += 1) y += 3 * GRID;
  return { x, y };
}
