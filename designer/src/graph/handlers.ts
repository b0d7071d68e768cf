// A node's own fields, and its boundary handlers, each a port that edges leave from.
import { type Boundary, type FlowNode, type Graph, ID, type NodeId } from './document';
import { clean, type Edit, no, without, yes } from './edit';

/** Sets fields of a node; a field given as undefined is taken away. */
export function patchNode(graph: Graph, id: NodeId, patch: Partial<FlowNode>): Edit {
  const node = graph.nodes[id];
  if (!node) return no('no-such-node');
  return yes({ ...graph, nodes: { ...graph.nodes, [id]: clean({ ...node, ...patch }) as FlowNode } });
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
