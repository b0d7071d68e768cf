// Where boxes stand. Columns follow the distance from the start; lanes follow the story: the way the author meant runs
// straight along the top, and what branches off it (other cases, defaults, handlers) stands below. Sizes are fixed by the
// kind of node, so that a flow can be laid out before it is drawn. No two boxes share a column and a lane.
import { inOrder, isCollapsed, isContainer, parents } from './containers';
import type { FlowEdge, FlowNode, Graph, NodeId, Place, Point } from './document';
import { levelOrder } from './order';
import { isEvent, isGateway, type Ports, portsOf } from './ports';

export const GRID = 8;
// Halves are multiples of the grid, so that boxes of different kinds can stand on one line.
const CARD = { width: 224, height: 64 };
const ROUND = { width: 48, height: 48 };
const PORT_ROW = 24;
export const COLUMN_GAP = 64;
export const LANE_GAP = 40;
const CAPTION = 40;
/** A frame: its head, the room around what is in it, a foot for the ports of handlers, and what an empty one takes. */
export const FRAME = { head: 48, pad: 24, foot: 32, port: 136, hang: 11, width: 288, height: 136 };
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

export interface Box extends Point, Size {}

/** The line on which edges enter and leave, from the top of the box. */
export const axisOf = (node: FlowNode, frame = false): number =>
  frame ? FRAME.head / 2 : (shapeOf(node) === 'card' ? CARD.height : ROUND.height) / 2;

/** A box with the words around it. */
export function extentOf(node: FlowNode, box: Box, catalogue: Ports): Box {
  if (shapeOf(node) === 'card') return box;
  const above = portsOf(node, catalogue).length > 1;
  return { x: box.x - 16, y: box.y - (above ? CAPTION : 0), width: box.width + 32, height: box.height + CAPTION };
}

/** How large a frame must be for what is in it. */
export function frameAround(node: FlowNode, content: Size | null, catalogue: Ports): Size {
  const ports = portsOf(node, catalogue).length - 1;
  const foot = ports > 0 ? FRAME.foot : 0;
  const across = Math.max(FRAME.width, ports * FRAME.port + 2 * FRAME.pad);
  if (!content) return { width: across, height: FRAME.height + foot };
  return {
    width: Math.max(across, snap(content.width + 2 * FRAME.pad)),
    height: snap(FRAME.head + content.height + 2 * FRAME.pad + foot),
  };
}

export const snap = (value: number): number => Math.round(value / GRID) * GRID;

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
  const order = levelOrder(graph);
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

/** Columns from the left, lanes from the top; what is in a container is laid out first, and the container around it. A
 *  frame is as large as what is in it; one that is drawn as a box stays one. */
export function tidy(graph: Graph, catalogue: Ports): Record<NodeId, Place> {
  const inside = parents(graph);
  const levels = new Map<NodeId | undefined, Graph>([[undefined, { ...graph, nodes: {}, edges: [] }]]);
  for (const [id, node] of Object.entries(graph.nodes)) {
    const parent = inside.get(id);
    const level = levels.get(parent) ?? { ...graph, nodes: {}, edges: [] };
    level.nodes[id] = node;
    levels.set(parent, level);
  }
  for (const edge of graph.edges) {
    const parent = inside.get(edge.from);
    if (parent === inside.get(edge.to)) levels.get(parent)?.edges.push(edge);
  }
  const lay = (parent: NodeId | undefined): Record<NodeId, Place> => {
    const level = levels.get(parent);
    if (!level) return {};
    const within = new Map<NodeId, Record<NodeId, Place>>();
    const frames = new Map<NodeId, Size>();
    for (const [id, node] of Object.entries(level.nodes)) {
      if (!isContainer(node)) continue;
      const inner = lay(id);
      within.set(id, inner);
      if (!isCollapsed(graph, id)) frames.set(id, frameAround(node, bounds(graph, inner, catalogue), catalogue));
    }
    if (parent !== undefined) level.edges.push(...stepEdges(level, graph.nodes[parent]));
    const own: Record<NodeId, Place> = tidyLevel(level, frames, catalogue);
    const all = { ...own };
    for (const [id, inner] of within) {
      const at = own[id];
      const box = bounds(graph, inner, catalogue);
      if (!at) continue;
      if (isCollapsed(graph, id)) all[id] = { ...at, collapsed: true };
      const dx = at.x + FRAME.pad - (box?.x ?? 0);
      const dy = at.y + FRAME.head + FRAME.pad - (box?.y ?? 0);
      for (const [one, point] of Object.entries(inner)) all[one] = { ...point, x: point.x + dx, y: point.y + dy };
    }
    return all;
  };
  return lay(undefined);
}

/** The box around places that a layout gave, frames among them as large as what is in them. */
function bounds(graph: Graph, places: Record<NodeId, Place>, catalogue: Ports): Box | null {
  let [left, top, right, bottom] = [1 / 0, 1 / 0, -1 / 0, -1 / 0];
  const take = (box: Box): void => {
    left = Math.min(left, box.x);
    top = Math.min(top, box.y);
    right = Math.max(right, box.x + box.width);
    bottom = Math.max(bottom, box.y + box.height);
  };
  for (const [id, at] of Object.entries(places)) {
    const node = graph.nodes[id];
    if (!node) continue;
    const framed = isContainer(node) && !at.collapsed;
    const held = framed ? Object.entries(places).filter(([one]) => graph.nodes[one]?.in === id) : [];
    if (framed) {
      const inner = held.length > 0 ? bounds(graph, deep(graph, places, id), catalogue) : null;
      take({ ...at, ...frameAround(node, inner, catalogue) });
    } else take(extentOf(node, { ...at, ...sizeOf(node, catalogue) }, catalogue));
  }
  return left === 1 / 0 ? null : { x: left, y: top, width: right - left, height: bottom - top };
}

function deep(graph: Graph, places: Record<NodeId, Place>, container: NodeId): Record<NodeId, Place> {
  const found: Record<NodeId, Place> = {};
  const open = [container];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const [id, place] of Object.entries(places)) {
      if (graph.nodes[id]?.in !== at) continue;
      found[id] = place;
      open.push(id);
    }
  }
  return found;
}

/** Lines that are not drawn: a step that is waited for stands before those that wait. */
function stepEdges(level: Graph, stage: FlowNode | undefined): FlowEdge[] {
  const steps = inOrder((stage?.steps ?? []).filter((step) => level.nodes[step.run] !== undefined));
  const edges: FlowEdge[] = [];
  let before: NodeId | null = null;
  for (const step of steps) {
    if (before !== null) edges.push({ from: before, to: step.run });
    if (!step.sync) continue;
    before = step.run;
    const seen = new Set<NodeId>();
    for (let next = level.edges.find((edge) => edge.from === before); next && !seen.has(next.to); ) {
      seen.add(next.to);
      before = next.to;
      next = level.edges.find((edge) => edge.from === before);
    }
  }
  return edges;
}

function tidyLevel(graph: Graph, frames: Map<NodeId, Size>, catalogue: Ports): Record<NodeId, Point> {
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
    const size = frames.get(id) ?? sizeOf(node, catalogue);
    const axis = axisOf(node, frames.has(id));
    const round = shapeOf(node) !== 'card';
    const captionAbove = round && portsOf(node, catalogue).length > 1;
    most(widths, column.get(id) ?? 0, round ? 72 : size.width);
    most(above, lane.get(id) ?? 0, axis + (captionAbove ? CAPTION : 0));
    most(below, lane.get(id) ?? 0, size.height - axis + (round && !captionAbove ? CAPTION : 0));
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
    const size = frames.get(id) ?? sizeOf(node, catalogue);
    layout[id] = {
      x: (centres[column.get(id) ?? 0] ?? 0) - size.width / 2,
      y: (axes[lane.get(id) ?? 0] ?? 0) - axisOf(node, frames.has(id)),
    };
  }
  return layout;
}
