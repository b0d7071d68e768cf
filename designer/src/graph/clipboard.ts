// Copy and paste as JSON text: nodes, the edges among them, and their places. The same text can go into a chat or a
// file and be pasted into another flow.
import type { Edit } from './commands';
import { isContainer, settleSteps, withContents } from './containers';
import { type FlowEdge, type FlowNode, freeId, type Graph, type NodeId, type Place, type Point } from './document';
import { pinned } from './frames';
import { GRID } from './layout';
import type { Ports } from './ports';

interface Fragment {
  'stepwell-fragment': 1;
  nodes: Record<NodeId, FlowNode>;
  edges: FlowEdge[];
  layout: Record<NodeId, Place>;
}

const NODES_MAX = 2000;

export function copy(graph: Graph, ids: NodeId[], catalogue: Ports): string | null {
  const chosen = [...withContents(graph, ids)];
  if (chosen.length === 0) return null;
  const inside = new Set(chosen);
  const all = pinned(graph, catalogue).layout ?? {};
  const fragment: Fragment = {
    'stepwell-fragment': 1,
    nodes: Object.fromEntries(chosen.map((id) => [id, graph.nodes[id] as FlowNode])),
    edges: graph.edges.filter((edge) => inside.has(edge.from) && inside.has(edge.to)),
    layout: Object.fromEntries(chosen.map((id) => [id, all[id] ?? { x: 0, y: 0 }])),
  };
  return JSON.stringify(fragment, null, 2);
}

/** Reads a fragment or a whole flow document; anything else is refused. */
function read(text: string): Fragment | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('nodes' in value)) return null;
  const { nodes, edges, layout } = value as Partial<Fragment>;
  if (typeof nodes !== 'object' || nodes === null || Object.keys(nodes).length > NODES_MAX) return null;
  if (Object.values(nodes).some((node) => typeof node?.type !== 'string')) return null;
  return { 'stepwell-fragment': 1, nodes, edges: Array.isArray(edges) ? edges : [], layout: layout ?? {} };
}

/** Adds the fragment with fresh ids, at a point or a step beside the originals, in a container or on the canvas itself.
 *  A second start is left out, and any where none can be. */
export function paste(graph: Graph, text: string, at?: Point, inside?: NodeId): Edit {
  const fragment = read(text);
  if (!fragment) return { ok: false, reason: 'nothing-to-paste' };
  if (inside !== undefined && !isContainer(graph.nodes[inside])) return { ok: false, reason: 'not-a-container' };
  const started = inside !== undefined || Object.values(graph.nodes).some((node) => node.type === 'start');
  const ids = Object.keys(fragment.nodes).filter((id) => !(started && fragment.nodes[id]?.type === 'start'));
  if (ids.length === 0) return { ok: false, reason: 'nothing-to-paste' };
  const points = ids.map((id) => fragment.layout[id] ?? { x: 0, y: 0 });
  const left = Math.min(...points.map((point) => point.x));
  const top = Math.min(...points.map((point) => point.y));
  const shift = at ? { x: at.x - left, y: at.y - top } : { x: 5 * GRID, y: 5 * GRID };
  const nodes = { ...graph.nodes };
  const layout = { ...graph.layout };
  const fresh = new Map<NodeId, NodeId>();
  for (const id of ids) {
    const next = freeId({ ...graph, nodes }, id);
    fresh.set(id, next);
    nodes[next] = fragment.nodes[id] as FlowNode;
    const point = fragment.layout[id] ?? { x: 0, y: 0 };
    layout[next] = {
      ...point,
      x: Math.round((point.x + shift.x) / GRID) * GRID,
      y: Math.round((point.y + shift.y) / GRID) * GRID,
    };
  }
  // Expressions inside the fragment that name a pasted node follow it to its new id.
  for (const id of fresh.values()) nodes[id] = settled(rename(nodes[id], fresh) as FlowNode, fresh, inside);
  const edges = fragment.edges.flatMap((edge) => {
    const from = fresh.get(edge.from);
    const to = fresh.get(edge.to);
    return from && to ? [{ ...(rename(edge, fresh) as FlowEdge), from, to }] : [];
  });
  return {
    ok: true,
    graph: settleSteps({ ...graph, nodes, edges: [...graph.edges, ...edges], layout }),
    added: [...fresh.values()],
  };
}

/** What a pasted node says of others by id: its container, its steps, the branches a join must have. */
function settled(node: FlowNode, fresh: Map<NodeId, NodeId>, inside: NodeId | undefined): FlowNode {
  const { in: was, ...rest } = node;
  const container = (was === undefined ? undefined : fresh.get(was)) ?? inside;
  const next: FlowNode = container === undefined ? rest : { ...rest, in: container };
  if (Array.isArray(node.steps))
    next.steps = node.steps.flatMap((step) => {
      const run = fresh.get(step.run);
      return run ? [{ ...step, run }] : [];
    });
  // Within one flow a copied cancel stops what it stopped, and the copies of what was copied along.
  if (Array.isArray(node.nodes)) next.nodes = node.nodes.map((one) => fresh.get(one) ?? one);
  if (node.join?.must) next.join = { ...node.join, must: node.join.must.flatMap((one) => fresh.get(one) ?? []) };
  return next;
}

function rename(value: unknown, fresh: Map<NodeId, NodeId>): unknown {
  if (typeof value === 'string')
    return value.replace(/\bnodes\.(\w+)/g, (whole, id: string) => (fresh.has(id) ? `nodes.${fresh.get(id)}` : whole));
  if (Array.isArray(value)) return value.map((item) => rename(item, fresh));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rename(item, fresh)]));
  return value;
}
