// The order in which a person reads a flow: from the start along the edges, branch after branch. Keyboard focus, the
// outline and paste all use it, so they agree.
import { parents } from './containers';
import type { Graph, NodeId } from './document';

export function starts(graph: Graph): NodeId[] {
  const ids = Object.keys(graph.nodes);
  const begin = ids.filter((id) => graph.nodes[id]?.type === 'start');
  const entered = new Set(graph.edges.map((edge) => edge.to));
  return [...begin, ...ids.filter((id) => !begin.includes(id) && !entered.has(id))];
}

/** Depth first, document order; joins come after the last branch that reaches them. What is in a container comes right
 *  after it. Every node appears once. */
export function flowOrder(graph: Graph): NodeId[] {
  const inside = parents(graph);
  if (inside.size === 0) return levelOrder(graph);
  const levels = new Map<NodeId | undefined, Graph>();
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
  const walk = (parent: NodeId | undefined): NodeId[] => {
    const level = levels.get(parent);
    return level ? levelOrder(level).flatMap((id) => [id, ...(levels.has(id) ? walk(id) : [])]) : [];
  };
  return walk(undefined);
}

/** One level's nodes, by the edges among them. */
export function levelOrder(graph: Graph): NodeId[] {
  const successors = new Map<NodeId, NodeId[]>();
  for (const edge of graph.edges) successors.set(edge.from, [...(successors.get(edge.from) ?? []), edge.to]);
  const seen = new Set<NodeId>();
  const finished: NodeId[] = [];
  // Post-order, branches visited last to first, reversed at the end: a topological order that keeps branches together.
  const visit = (root: NodeId) => {
    const stack: { id: NodeId; next: NodeId[] }[] = [];
    const push = (id: NodeId) => {
      if (seen.has(id) || graph.nodes[id] === undefined) return;
      seen.add(id);
      stack.push({ id, next: [...(successors.get(id) ?? [])] });
    };
    push(root);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const next = top.next.pop();
      if (next !== undefined) push(next);
      else {
        finished.push(top.id);
        stack.pop();
      }
    }
  };
  const roots = starts(graph);
  for (const root of [...roots].reverse()) visit(root);
  // What only a cycle reaches.
  for (const id of Object.keys(graph.nodes)) if (!seen.has(id)) visit(id);
  return finished.reverse();
}

export function successors(graph: Graph, id: NodeId): NodeId[] {
  return [...new Set(graph.edges.filter((edge) => edge.from === id).map((edge) => edge.to))];
}

export function predecessors(graph: Graph, id: NodeId): NodeId[] {
  return [...new Set(graph.edges.filter((edge) => edge.to === id).map((edge) => edge.from))];
}

export function reaches(graph: Graph, from: NodeId, to: NodeId): boolean {
  const seen = new Set<NodeId>();
  const queue = [from];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (id === to) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    queue.push(...successors(graph, id));
  }
  return false;
}
