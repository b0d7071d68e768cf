// The flow document as the editor holds it: plain, immutable data. Commands in `commands.ts` make a new document out
// of an old one; unknown fields are carried along untouched, so that a newer engine's document survives an edit.
// Imports nothing of ours: what the server says arrives as `unknown` and is read here.

export type NodeId = string;
export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
export type Title = string | { en?: string; 'zh-CN'?: string };

export interface Boundary {
  type: 'error' | 'timeout' | 'message';
  code?: string;
  /** Of a timeout: so long after the node was entered; without it the node's own timeout is caught. */
  after?: string;
  message?: string;
  key?: string;
  /** True unless given: the node is stopped. */
  interrupting?: boolean;
  [more: string]: unknown;
}

/** How long a parallel waits. At most one of `count` and `percent`; neither means all, or those of `must`. */
export interface Join {
  count?: number;
  percent?: number;
  must?: NodeId[];
  rest?: 'await' | 'cancel';
  timeout?: string;
  /** So many tokens of each edge become one. */
  tokens?: number;
}

/** One step of a stage. */
export interface Step {
  run: NodeId;
  order?: number;
  sync?: boolean;
  group?: string;
  optional?: boolean;
}

export interface FlowNode {
  type: string;
  /** The container it is in. */
  in?: NodeId;
  title?: Title;
  uses?: string;
  config?: Record<string, Value>;
  /** The mapped input: a template by field, or one expression for the whole. */
  with?: Record<string, Value> | string;
  timeout?: string;
  retry?: { attempts?: number; backoff?: string; factor?: number; max?: string };
  undo?: boolean | { uses: string; config?: Record<string, Value>; with?: Record<string, Value> | string };
  delivery?: string;
  on?: Record<string, Boundary>;
  output?: Value;
  vars?: Record<string, Value>;
  /** Of a set node: how urgent the instance is from then on. */
  priority?: Value;
  /** Read by `listeners.ts`. */
  listeners?: unknown;
  after?: string;
  /** A timer's expression; how many items of a for-each are enough. */
  until?: string | number;
  message?: string;
  key?: string;
  table?: Value;
  code?: string;
  data?: Value;
  terminate?: boolean;
  join?: Join;
  assignee?: Value;
  users?: Value;
  groups?: Value;
  form?: Value;
  due?: string;
  topic?: string;
  flow?: string;
  items?: Value;
  limit?: number;
  onFailure?: string;
  compensation?: string;
  /** Given, even empty: the nodes of the stage that no edge leads to are its steps, in order. */
  steps?: Step[];
  merge?: Record<string, string>;
  /** Nodes with one lock exclude each other. */
  lock?: string;
  /** A message that brings one more item. */
  more?: { message: string; key: string; when?: string };
  /** What becomes of the items that were not waited for. */
  rest?: 'await' | 'cancel';
  /** The nodes that a cancel takes the tokens away from. */
  nodes?: NodeId[];
  /** So many tokens leave a parallel by each edge. */
  tokens?: number;
  [more: string]: unknown;
}

export interface FlowEdge {
  from: NodeId;
  port?: string;
  to: NodeId;
  when?: string;
  default?: boolean;
  title?: Title;
  [more: string]: unknown;
}

export interface Point {
  x: number;
  y: number;
}

/** Where a node is drawn; a container's frame may be larger than what is in it, or drawn as one box. */
export interface Place extends Point {
  width?: number;
  height?: number;
  collapsed?: boolean;
}

export interface Graph {
  stepwell: number;
  kind: string;
  key: string;
  title?: Title;
  input?: Record<string, unknown>;
  nodes: Record<NodeId, FlowNode>;
  edges: FlowEdge[];
  layout?: Record<NodeId, Place>;
  [more: string]: unknown;
}

/** The constructs one can add. Task is added through its node types. */
export const CONSTRUCTS = [
  'start',
  'user-task',
  'external-task',
  'call',
  'for-each',
  'stage',
  'exclusive',
  'inclusive',
  'parallel',
  'event-gateway',
  'decision',
  'set',
  'timer',
  'receive',
  'reply',
  'compensate',
  'cancel',
  'throw',
  'end',
] as const;
export type Construct = (typeof CONSTRUCTS)[number] | 'task';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads a document leniently: what cannot be drawn is left out, what is merely unknown is kept. */
export function readGraph(value: unknown): Graph {
  const source = isObject(value) ? value : {};
  const nodes: Record<NodeId, FlowNode> = {};
  if (isObject(source.nodes)) {
    for (const [id, node] of Object.entries(source.nodes)) {
      if (isObject(node)) nodes[id] = { ...node, type: typeof node.type === 'string' ? node.type : 'unknown' };
    }
  }
  const edges = (Array.isArray(source.edges) ? source.edges : []).filter(
    (edge): edge is FlowEdge => isObject(edge) && typeof edge.from === 'string' && typeof edge.to === 'string',
  );
  return {
    ...source,
    stepwell: typeof source.stepwell === 'number' ? source.stepwell : 1,
    kind: typeof source.kind === 'string' ? source.kind : 'graph',
    key: typeof source.key === 'string' ? source.key : '',
    nodes,
    edges: edges.filter((edge) => nodes[edge.from] !== undefined && nodes[edge.to] !== undefined),
    ...(isObject(source.layout) ? { layout: source.layout as Record<NodeId, Place> } : {}),
  };
}

/** Names an edge on the canvas. Two edges may share both ends (parallel branches), so the place in the list counts. */
export const edgeId = (edge: FlowEdge, index: number): string => `${index}:${edge.from}:${edge.port ?? ''}:${edge.to}`;

export function edgeIndex(graph: Graph, id: string): number {
  const index = Number.parseInt(id, 10);
  const edge = graph.edges[index];
  return edge && edgeId(edge, index) === id ? index : -1;
}

export const ID = /^[a-z_][a-z0-9_]*$/i;

/** A free node id near `wanted`: ids stand in expressions (`nodes.<id>`), so they are plain words. */
export function freeId(graph: Graph, wanted: string): NodeId {
  const base =
    wanted
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '_')
      .replace(/^_+|_+$/g, '')
      .replace(/^(\d)/, '_$1') || 'node';
  if (graph.nodes[base] === undefined) return base;
  for (let n = 2; ; n += 1) {
    if (graph.nodes[`${base}_${n}`] === undefined) return `${base}_${n}`;
  }
}
