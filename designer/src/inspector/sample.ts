// Sample data for previews and start forms: the flow's own examples, the node types' example outputs, and whatever the
// schemas say. Made up values are recognisable by their plainness.
import type { Json, JsonSchema, NodeType } from '../api/shapes';
import { around } from '../graph/containers';
import type { Graph, NodeId } from '../graph/document';

type Types = (uses: string) => NodeType | undefined;

const DEPTH_MAX = 6;

export function sampleOf(schema: JsonSchema | undefined, depth = 0): Json {
  if (!schema || depth > DEPTH_MAX) return null;
  const given = schema.examples?.[0] ?? schema.default ?? schema.const ?? schema.enum?.[0];
  if (given !== undefined) return given;
  const branch = schema.oneOf?.[0] ?? schema.anyOf?.[0];
  if (branch) return sampleOf(branch, depth + 1);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'string':
      return schema.format === 'date-time' ? '2026-01-01T08:00:00Z' : schema.format === 'date' ? '2026-01-01' : 'text';
    case 'integer':
    case 'number':
      return schema.minimum ?? 1;
    case 'boolean':
      return true;
    case 'array':
      return schema.items ? [sampleOf(schema.items, depth + 1)] : [];
    case 'object': {
      const entries = Object.entries(schema.properties ?? {}).map(
        ([name, one]) => [name, sampleOf(one, depth + 1)] as const,
      );
      return Object.fromEntries(entries);
    }
    default:
      return schema.properties ? sampleOf({ ...schema, type: 'object' }, depth) : null;
  }
}

const stored = (key: string): string => `stepwell.sample.${key}`;

/** The input last started or tried with in this browser, else one made from the schema. */
export function sampleInput(graph: Graph): Json {
  try {
    const text = localStorage.getItem(stored(graph.key));
    if (text) return JSON.parse(text) as Json;
  } catch {
    // Unreadable: made anew below.
  }
  return sampleOf(graph.input as JsonSchema | undefined) ?? {};
}

export function rememberInput(key: string, input: Json): void {
  try {
    localStorage.setItem(stored(key), JSON.stringify(input));
  } catch {
    // No room: the sample is made from the schema next time.
  }
}

/** The first item of the for-each around a node, if its list can be told. */
function sampleItem(graph: Graph, id: NodeId, input: Json): Json | undefined {
  const each = [id, ...around(graph, id)].find((one) => graph.nodes[one]?.type === 'for-each');
  if (each === undefined) return undefined;
  const items = graph.nodes[each]?.items;
  if (Array.isArray(items)) return (items[0] as Json) ?? null;
  const path = typeof items === 'string' ? /^=input\.([\w.]+)$/.exec(items)?.[1] : undefined;
  let value: Json | undefined = input;
  for (const part of path?.split('.') ?? [])
    value = typeof value === 'object' && value !== null && !Array.isArray(value) ? value[part] : undefined;
  return path !== undefined && Array.isArray(value) ? (value[0] ?? null) : {};
}

/** What an expression sees: input, vars, nodes and flow; inside a for-each, item and index as well. */
export function sampleContext(graph: Graph, types: Types, at?: NodeId): Record<string, Json> {
  const nodes: Record<string, Json> = {};
  const vars: Record<string, Json> = {};
  for (const [id, node] of Object.entries(graph.nodes)) {
    if (node.type === 'task' && node.uses) {
      const type = types(node.uses);
      const example = type?.examples?.find((one) => one.output !== undefined)?.output;
      nodes[id] = example ?? sampleOf(type?.ports[0]?.output) ?? {};
    } else if (node.type === 'user-task' || node.type === 'external-task') {
      nodes[id] = sampleOf((node.type === 'user-task' ? node.form : node.output) as JsonSchema | undefined) ?? {};
    } else if (node.type === 'for-each') {
      nodes[id] = [];
    } else if (node.type === 'call' || node.type === 'stage') {
      nodes[id] = {};
    } else if (node.type === 'receive') {
      nodes[id] = { status: 'PAID' };
    } else if (node.type === 'decision' && typeof node.table === 'object' && node.table !== null) {
      const outputs = (node.table as { outputs?: { field?: string }[] }).outputs ?? [];
      nodes[id] = Object.fromEntries(
        outputs.filter((column) => column.field).map((column) => [column.field as string, 0]),
      );
    } else if (node.type === 'set') {
      for (const [name, value] of Object.entries(node.vars ?? {}))
        vars[name] = typeof value === 'string' && value.startsWith('=') ? null : (value as Json);
    }
  }
  const input = sampleInput(graph);
  const item = at === undefined ? undefined : sampleItem(graph, at, input);
  return {
    input,
    ...(item === undefined ? {} : { item, index: 0 }),
    vars,
    nodes,
    flow: {
      key: graph.key,
      version: 1,
      instance: '0197',
      businessKey: 'O-2026-1',
      priority: 0,
      now: new Date().toISOString(),
    },
  };
}
