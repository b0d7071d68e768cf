// What nodes say of each other by id: kept right when one is renamed, and when one goes.
import { type FlowEdge, type FlowNode, type Graph, ID, type NodeId } from './document';
import { clean, type Edit, no, yes } from './edit';

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
    Object.entries(graph.nodes).map(([key, node]) => [
      key === id ? to : key,
      renamedIn(rewrite(node, false) as FlowNode, id, to),
    ]),
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

/** What a node says of another by its id, other than in expressions. */
function renamedIn(node: FlowNode, id: NodeId, to: NodeId): FlowNode {
  const named = (one: NodeId): NodeId => (one === id ? to : one);
  return {
    ...node,
    ...(node.in === undefined ? {} : { in: named(node.in) }),
    ...(Array.isArray(node.steps) ? { steps: node.steps.map((step) => ({ ...step, run: named(step.run) })) } : {}),
    ...(node.join?.must ? { join: { ...node.join, must: node.join.must.map(named) } } : {}),
    ...(Array.isArray(node.nodes) ? { nodes: node.nodes.map(named) } : {}),
  };
}

/** Nodes without what they say of others that are gone: branches that a join must have, nodes that a cancel stops. */
export function forget(nodes: Record<NodeId, FlowNode>, gone: Set<NodeId>): Record<NodeId, FlowNode> {
  const left = (ids: NodeId[]) => ids.filter((one) => !gone.has(one));
  return Object.fromEntries(
    Object.entries(nodes).map(([id, node]) => {
      const next = { ...node };
      if (node.join?.must?.some((one) => gone.has(one))) {
        const must = left(node.join.must);
        next.join = clean({ ...node.join, must: must.length > 0 ? must : undefined });
      }
      if (Array.isArray(node.nodes) && node.nodes.some((one) => gone.has(one))) next.nodes = left(node.nodes);
      return [id, next.join === node.join && next.nodes === node.nodes ? node : next];
    }),
  );
}
