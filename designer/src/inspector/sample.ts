// Sample data for previews and start forms: the flow's own examples, the node types' example outputs, and whatever the
// schemas say. Made up values are recognisable by their plainness.
import type { Json, JsonSchema, NodeType } from '../api/shapes';
import type { Graph } from '../graph/document';

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

/** What an expression sees: input, vars, nodes and flow. */
export function sampleContext(graph: Graph, types: Types): Record<string, Json> {
  const nodes: Record<string, Json> = {};
  const vars: Record<string, Json> = {};
  for (const [id, node] of Object.entries(graph.nodes)) {
    if (node.type === 'task' && node.uses) {
      const type = types(node.uses);
      const example = type?.examples?.find((one) => one.output !== undefined)?.output;
      nodes[id] = example ?? sampleOf(type?.ports[0]?.output) ?? {};
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
  return {
    input: sampleInput(graph),
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
