// Where edges may leave and arrive. An edge without `port` leaves from the node's first port; a task's ports come from
// its node type, and boundary handlers add one each.
import type { FlowEdge, FlowNode, Graph, NodeId } from './document';

export interface Port {
  /** Absent for the first port: that is how the document writes it. */
  name?: string;
  label: string;
  kind: 'flow' | 'error' | 'timeout' | 'message';
  /** Of a handler that lets its node go on: drawn dashed. */
  beside?: boolean;
}

/** What the editor knows of a node type; the catalogue is the server's. */
export interface PortSource {
  ports: { name: string }[];
}

export type Ports = (uses: string) => PortSource | undefined;

/** Where edges have conditions, and one may be the default. */
export const isChoice = (type: string | undefined): boolean => type === 'exclusive' || type === 'inclusive';

/** What may end by its time, and is then left by a port of that name. */
const WAITS = new Set(['receive', 'user-task', 'external-task']);
/** What a boundary handler can stand on. */
const ACTIVITIES = new Set(['task', 'receive', 'user-task', 'external-task', 'call', 'for-each', 'stage']);
export const isActivity = (type: string): boolean => ACTIVITIES.has(type);

const BRANCHES = new Set(['exclusive', 'parallel', 'inclusive', 'event-gateway']);

export const isGateway = (type: string): boolean => BRANCHES.has(type);
export const isEvent = (type: string): boolean =>
  type === 'start' ||
  type === 'end' ||
  type === 'throw' ||
  type === 'timer' ||
  type === 'receive' ||
  type === 'reply' ||
  type === 'compensate' ||
  type === 'cancel';

export const hasInput = (node: FlowNode): boolean => node.type !== 'start';
export const hasOutput = (node: FlowNode): boolean => node.type !== 'end' && node.type !== 'throw';
/** Gateways send many edges from their one port. */
export const manyEdges = (node: FlowNode): boolean => BRANCHES.has(node.type);

export function portsOf(node: FlowNode, catalogue: Ports): Port[] {
  if (!hasOutput(node)) return [];
  const ports: Port[] = [];
  const typed = node.uses ? (catalogue(node.uses)?.ports ?? []) : [];
  typed.forEach((port, index) => {
    ports.push({ ...(index === 0 ? {} : { name: port.name }), label: port.name, kind: 'flow' });
  });
  if (ports.length === 0) ports.push({ label: 'out', kind: 'flow' });
  const ends = WAITS.has(node.type) ? node.timeout : node.type === 'parallel' ? node.join?.timeout : undefined;
  if (ends !== undefined && node.on?.timeout === undefined) {
    ports.push({ name: 'timeout', label: 'timeout', kind: 'timeout' });
  }
  for (const [name, boundary] of Object.entries(node.on ?? {}))
    ports.push({
      name,
      label: name,
      kind: boundary.type,
      ...(boundary.interrupting === false ? { beside: true } : {}),
    });
  return ports;
}

/** The document may name the first port or leave it out; both mean the same. */
export function portOf(graph: Graph, edge: FlowEdge, catalogue: Ports): string | undefined {
  const node = graph.nodes[edge.from];
  if (edge.port === undefined || node === undefined) return undefined;
  const first = node.uses ? catalogue(node.uses)?.ports[0]?.name : undefined;
  return edge.port === (first ?? 'out') || (first === undefined && edge.port === 'done') ? undefined : edge.port;
}

export function edgesFrom(graph: Graph, id: NodeId, port: string | undefined, catalogue: Ports): FlowEdge[] {
  return graph.edges.filter((edge) => edge.from === id && portOf(graph, edge, catalogue) === port);
}
