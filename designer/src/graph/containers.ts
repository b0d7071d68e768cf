// What is in what: a stage or a for-each holds the nodes that name it with `in`. A node's container is drawn as a frame
// around it; edges stay inside of one container. A broken `in` (no such container, or a circle) counts as none.
import type { FlowNode, Graph, NodeId, Step } from './document';

export const isContainer = (node: FlowNode | undefined): boolean => node?.type === 'stage' || node?.type === 'for-each';

/** The container a node is in, if it names one. */
export function parentOf(graph: Graph, id: NodeId): NodeId | undefined {
  const parent = graph.nodes[id]?.in;
  if (typeof parent !== 'string' || !isContainer(graph.nodes[parent])) return undefined;
  // A circle has no outside; all in it are drawn on the canvas itself.
  const seen = new Set([id]);
  for (let at: NodeId | undefined = parent; at !== undefined; ) {
    if (seen.has(at)) return undefined;
    seen.add(at);
    const next: unknown = graph.nodes[at]?.in;
    at = typeof next === 'string' && isContainer(graph.nodes[next]) ? next : undefined;
  }
  return parent;
}

/** Every node's container, for those that have one. Asked once where many are needed. */
export function parents(graph: Graph): Map<NodeId, NodeId> {
  const map = new Map<NodeId, NodeId>();
  for (const id of Object.keys(graph.nodes)) {
    const parent = graph.nodes[id]?.in === undefined ? undefined : parentOf(graph, id);
    if (parent !== undefined) map.set(id, parent);
  }
  return map;
}

/** The containers around a node, the nearest first. */
export function around(graph: Graph, id: NodeId): NodeId[] {
  const found: NodeId[] = [];
  for (let at = parentOf(graph, id); at !== undefined; at = parentOf(graph, at)) found.push(at);
  return found;
}

export function childrenOf(graph: Graph, container: NodeId | undefined): NodeId[] {
  return Object.keys(graph.nodes).filter((id) => parentOf(graph, id) === container);
}

/** The nodes and all that is in them. */
export function withContents(graph: Graph, ids: Iterable<NodeId>): Set<NodeId> {
  const all = new Set<NodeId>();
  const held = new Map<NodeId, NodeId[]>();
  for (const [id, parent] of parents(graph)) held.set(parent, [...(held.get(parent) ?? []), id]);
  const take = (id: NodeId): void => {
    if (all.has(id) || graph.nodes[id] === undefined) return;
    all.add(id);
    for (const inner of held.get(id) ?? []) take(inner);
  };
  for (const id of ids) take(id);
  return all;
}

export const isCollapsed = (graph: Graph, id: NodeId): boolean =>
  isContainer(graph.nodes[id]) && graph.layout?.[id]?.collapsed === true;

/** What is not drawn because a container around it is drawn as one box. */
export function hidden(graph: Graph): Set<NodeId> {
  const closed = Object.keys(graph.layout ?? {}).filter((id) => isCollapsed(graph, id));
  if (closed.length === 0) return new Set();
  const all = withContents(graph, closed);
  for (const id of closed) if (!around(graph, id).some((one) => isCollapsed(graph, one))) all.delete(id);
  return all;
}

/** Whether an edge from one to the other would leave a container. */
export const crosses = (graph: Graph, from: NodeId, to: NodeId): boolean =>
  parentOf(graph, from) !== parentOf(graph, to);

/** A stage's steps as they are run: smaller orders first, ties by place in the list. */
export function inOrder(steps: Step[]): Step[] {
  return steps
    .map((step, index) => ({ step, index }))
    .sort((a, b) => (a.step.order ?? 0) - (b.step.order ?? 0) || a.index - b.index)
    .map(({ step }) => step);
}

/** Keeps every stage's list in step with its nodes: those that no edge leads to are steps, and only those. */
export function settleSteps(graph: Graph): Graph {
  let nodes = graph.nodes;
  for (const [id, node] of Object.entries(graph.nodes)) {
    if (node.type !== 'stage' || !Array.isArray(node.steps)) continue;
    const led = new Set(graph.edges.map((edge) => edge.to));
    const first = childrenOf(graph, id).filter((inner) => !led.has(inner));
    const kept = node.steps.filter((step) => first.includes(step.run));
    const fresh = first.filter((inner) => !kept.some((step) => step.run === inner));
    if (kept.length === node.steps.length && fresh.length === 0) continue;
    const steps = [...kept, ...fresh.map((run): Step => ({ run, sync: true }))];
    nodes = { ...nodes, [id]: { ...node, steps } };
  }
  return nodes === graph.nodes ? graph : { ...graph, nodes };
}
