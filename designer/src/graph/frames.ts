// Where everything stands: stored places, places for what has none, and the frames of containers, which follow what is
// in them. Positions are absolute, so that moving a node in or out of a container changes nothing else.
import { around, hidden, isCollapsed, isContainer, parentOf, parents, withContents } from './containers';
import type { FlowNode, Graph, NodeId, Place, Point } from './document';
import {
  axisOf,
  type Box,
  COLUMN_GAP,
  extentOf,
  FRAME,
  frameAround,
  GRID,
  LANE_GAP,
  sizeOf,
  snap,
  tidy,
} from './layout';
import type { Ports } from './ports';

/** Whether a node is drawn as a frame around others. */
export const isFrame = (graph: Graph, id: NodeId): boolean => isContainer(graph.nodes[id]) && !isCollapsed(graph, id);

/** The box of every node; a frame's reaches around all that is in it. */
export function boxes(graph: Graph, catalogue: Ports): Record<NodeId, Box> {
  const places = spots(graph, catalogue);
  const held = new Map<NodeId, NodeId[]>();
  for (const [id, parent] of parents(graph)) held.set(parent, [...(held.get(parent) ?? []), id]);
  const all: Record<NodeId, Box> = {};
  const box = (id: NodeId): Box => {
    const known = all[id];
    if (known) return known;
    const node = graph.nodes[id] as FlowNode;
    const at = places[id] ?? { x: 0, y: 0 };
    const found = isFrame(graph, id) ? frame(id, node, at) : { x: at.x, y: at.y, ...sizeOf(node, catalogue) };
    all[id] = found;
    return found;
  };
  const frame = (id: NodeId, node: FlowNode, at: Place): Box => {
    const inner = (held.get(id) ?? []).map((one) => extentOf(graph.nodes[one] as FlowNode, box(one), catalogue));
    const drawn = at.width === undefined ? null : { ...frameAround(node, null, catalogue), ...at };
    if (inner.length === 0) return { ...frameAround(node, null, catalogue), ...pick(at) };
    let left = Math.min(...inner.map((one) => one.x)) - FRAME.pad;
    let top = Math.min(...inner.map((one) => one.y)) - FRAME.pad - FRAME.head;
    let right = Math.max(...inner.map((one) => one.x + one.width)) + FRAME.pad;
    let bottom = Math.max(...inner.map((one) => one.y + one.height)) + FRAME.pad;
    if (drawn) {
      left = Math.min(left, drawn.x);
      top = Math.min(top, drawn.y);
      right = Math.max(right, drawn.x + drawn.width);
      bottom = Math.max(bottom, drawn.y + drawn.height);
    }
    const need = frameAround(node, { width: 0, height: bottom - top - FRAME.head - 2 * FRAME.pad }, catalogue);
    return {
      x: left,
      y: top,
      width: Math.max(need.width, right - left),
      height: drawn ? Math.max(bottom - top, need.height) : need.height,
    };
  };
  for (const id of Object.keys(graph.nodes)) box(id);
  return all;
}

const pick = (at: Place): Place => ({
  x: at.x,
  y: at.y,
  ...(at.width === undefined ? {} : { width: at.width }),
  ...(at.height === undefined ? {} : { height: at.height }),
});

export const positions = (graph: Graph, catalogue: Ports): Record<NodeId, Point> =>
  Object.fromEntries(Object.entries(boxes(graph, catalogue)).map(([id, { x, y }]) => [id, { x, y }]));

/** The document with a place for every node, as it is drawn. */
export function pinned(graph: Graph, catalogue: Ports): Graph {
  const layout: Record<NodeId, Place> = {};
  for (const [id, { x, y }] of Object.entries(boxes(graph, catalogue))) layout[id] = { ...graph.layout?.[id], x, y };
  return { ...graph, layout };
}

/** The stored place of every node; nodes without one are laid out around those that have. */
function spots(graph: Graph, catalogue: Ports): Record<NodeId, Place> {
  const stored = graph.layout ?? {};
  const ids = Object.keys(graph.nodes);
  const missing = ids.filter((id) => stored[id] === undefined);
  if (missing.length === 0) return stored;
  const fresh = tidy(graph, catalogue);
  if (missing.length > ids.length / 2) return fresh;
  const all = { ...stored };
  const anchors = new Map<NodeId | undefined, NodeId>();
  for (const id of ids) {
    const parent = parentOf(graph, id);
    if (stored[id] !== undefined && !isFrame(graph, id) && !anchors.has(parent)) anchors.set(parent, id);
  }
  for (const id of missing) {
    const anchor = anchors.get(parentOf(graph, id)) ?? anchors.values().next().value;
    const from = anchor ? fresh[anchor] : undefined;
    const to = anchor ? stored[anchor] : undefined;
    const point = fresh[id] ?? { x: 0, y: 0 };
    all[id] = {
      ...point,
      x: point.x + (from && to ? to.x - from.x : 0),
      y: point.y + (from && to ? to.y - from.y : 0),
    };
  }
  return all;
}

const apart = (a: Box, b: Box, gapX = 0, gapY = 0): boolean =>
  a.x >= b.x + b.width + gapX ||
  b.x >= a.x + a.width + gapX ||
  a.y >= b.y + b.height + gapY ||
  b.y >= a.y + a.height + gapY;

/** Drops places that were made for other sizes of boxes: where several boxes lie on one another, a fresh layout reads better. */
export function unclutter(graph: Graph, catalogue: Ports): Graph {
  const unseen = hidden(graph);
  const placed = Object.entries(graph.nodes).flatMap(([id, node]) => {
    const at = graph.layout?.[id];
    return at && !unseen.has(id) && !isFrame(graph, id) ? [{ x: at.x, y: at.y, ...sizeOf(node, catalogue) }] : [];
  });
  let hits = 0;
  for (let one = 0; one < placed.length && hits <= 1; one += 1) {
    for (let other = one + 1; other < placed.length; other += 1) {
      const [a, b] = [placed[one], placed[other]];
      if (a && b && !apart(a, b)) hits += 1;
    }
  }
  if (hits <= 1) return graph;
  const kept = Object.entries(graph.layout ?? {}).filter(([, at]) => at.collapsed);
  const { layout: _, ...rest } = graph;
  return kept.length === 0 ? rest : { ...rest, layout: tidy(graph, catalogue) };
}

/** A free place for a new node to the right of `after`, below whatever stands there already. */
export function placeAfter(graph: Graph, after: NodeId, node: FlowNode, catalogue: Ports): Point {
  const all = boxes(graph, catalogue);
  const anchor = graph.nodes[after];
  const at = all[after];
  if (!anchor || !at) return { x: 0, y: 0 };
  const x = snap(at.x + at.width + COLUMN_GAP);
  const y = snap(at.y + axisOf(anchor, isFrame(graph, after)) - axisOf(node, isContainer(node)));
  return free(graph, parentOf(graph, after), { x, y }, node, all, catalogue);
}

/** A place for a node that comes into a container: behind what is there, on its first line. */
export function placeInside(graph: Graph, container: NodeId | undefined, node: FlowNode, catalogue: Ports): Point {
  const all = boxes(graph, catalogue);
  const inner = Object.keys(graph.nodes).filter((id) => parentOf(graph, id) === container);
  const frame = container === undefined ? undefined : all[container];
  const first = inner.map((id) => all[id]).filter((box) => box !== undefined);
  if (frame && first.length === 0) return { x: frame.x + FRAME.pad, y: frame.y + FRAME.head + FRAME.pad };
  const right = Math.max(...first.map((box) => box.x + box.width));
  const top = Math.min(...first.map((box) => box.y));
  return free(graph, container, { x: snap(right + COLUMN_GAP), y: snap(top) }, node, all, catalogue);
}

function free(
  graph: Graph,
  container: NodeId | undefined,
  wanted: Point,
  node: FlowNode,
  all: Record<NodeId, Box>,
  catalogue: Ports,
): Point {
  const size = isContainer(node) ? frameAround(node, null, catalogue) : sizeOf(node, catalogue);
  const siblings = Object.keys(graph.nodes).filter((id) => parentOf(graph, id) === container);
  let y = wanted.y;
  const hit = () => siblings.some((id) => all[id] && !apart({ x: wanted.x, y, ...size }, all[id], 24, LANE_GAP));
  for (let tries = 0; tries < 60 && hit(); tries += 1) y += 3 * GRID;
  return { x: wanted.x, y };
}

/** The innermost frame at a point, of those that are not `without` or in them. */
export function frameAt(graph: Graph, at: Point, without: NodeId[], catalogue: Ports): NodeId | undefined {
  const all = boxes(graph, catalogue);
  const not = withContents(graph, without);
  const unseen = hidden(graph);
  const hits = Object.keys(graph.nodes).filter((id) => {
    const box = all[id];
    if (!box || !isFrame(graph, id) || not.has(id) || unseen.has(id)) return false;
    return at.x >= box.x && at.x <= box.x + box.width && at.y >= box.y && at.y <= box.y + box.height;
  });
  return hits.sort((a, b) => around(graph, b).length - around(graph, a).length)[0];
}

/** Makes room (or takes it back) around a container whose box has changed, level by level outwards. */
export function spread(
  before: Graph,
  after: Graph,
  container: NodeId | undefined,
  catalogue: Ports,
  back = false,
): Graph {
  let graph = after;
  const levels = container === undefined ? [] : [container, ...around(after, container)];
  const old = boxes(before, catalogue);
  for (const id of levels) {
    const was = old[id];
    const now = boxes(graph, catalogue)[id];
    if (!was || !now) continue;
    const dx = now.x + now.width - was.x - was.width;
    const dy = now.y + now.height - was.y - was.height;
    if (!(dx > 0 || dy > 0 || back)) continue;
    const layout = { ...pinned(graph, catalogue).layout };
    const parent = parentOf(graph, id);
    for (const sibling of Object.keys(graph.nodes)) {
      const box = old[sibling];
      if (!box || sibling === id || parentOf(graph, sibling) !== parent) continue;
      const right = box.x >= was.x + was.width - GRID && (dx > 0 || back) ? dx : 0;
      const below = box.y >= was.y + was.height - GRID && box.x < Math.max(now.x + now.width, was.x + was.width);
      const down = below && right === 0 && (dy > 0 || back) ? dy : 0;
      if (right === 0 && down === 0) continue;
      for (const one of withContents(graph, [sibling])) {
        const at = layout[one];
        if (at) layout[one] = { ...at, x: snap(at.x + right), y: snap(at.y + down) };
      }
    }
    graph = { ...graph, layout };
  }
  return graph;
}
