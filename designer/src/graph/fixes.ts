// What can be done about a problem without asking: the checker names the place and the remedy, here both become an
// edit like any other, so that it can be undone. A remedy that needs a choice of the author's has no edit here.
import { addAfter, addNode, connect, type Edit, remove, removeBoundary } from './commands';
import { parentOf } from './containers';
import { edgeId, type FlowEdge, type FlowNode, type Graph, type NodeId, type Value } from './document';
import { boxes } from './frames';
import type { Ports } from './ports';

/** The checker's words, as far as they are needed here. */
export interface Trouble {
  code: string;
  pointer: string;
  message: string;
  fix?: string | null;
}

/** What the editor knows of a node type beyond its ports. */
interface Schema {
  properties?: Record<string, Schema>;
  type?: string | string[];
  default?: unknown;
  examples?: unknown[];
  enum?: unknown[];
  minimum?: number;
  [more: string]: unknown;
}
export interface Described {
  ports: { name: string }[];
  config?: Schema;
  input?: Schema;
  undo?: boolean;
  examples?: { config?: unknown; input?: unknown }[];
}
export type Types = (uses: string) => Described | undefined;

/** What a button says: a kind of its own for every kind of edit, and what it is about. */
export interface Mend {
  kind: 'add' | 'remove' | 'rename' | 'replace' | 'default' | 'connect' | 'set' | 'cut';
  name: string;
  edit: Edit;
}

type Path = string[];

const parse = (pointer: string): Path =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function at(value: unknown, path: Path): unknown {
  let here = value;
  for (const part of path) {
    if (Array.isArray(here)) here = here[Number(part)];
    else if (isObject(here)) here = here[part];
    else return undefined;
  }
  return here;
}

/** The document with another value at a place; `undefined` takes the place away. Objects on the way are made. */
function put(value: unknown, path: Path, next: unknown): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return next;
  if (Array.isArray(value)) {
    const index = Number(part);
    if (rest.length === 0 && next === undefined) return value.filter((_, other) => other !== index);
    return value.map((item, other) => (other === index ? put(item, rest, next) : item));
  }
  const record = isObject(value) ? value : {};
  const inner = put(record[part], rest, next);
  if (inner !== undefined) return { ...record, [part]: inner };
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== part));
}

const edited = (graph: Graph, path: Path, next: unknown): Edit => ({
  ok: true,
  graph: put(graph, path, next) as Graph,
});

/** Gives the field at a place another name, where it stood. */
function renamed(graph: Graph, path: Path, to: string): Edit | null {
  const holder = at(graph, path.slice(0, -1));
  const from = path.at(-1);
  if (!isObject(holder) || from === undefined || !(from in holder) || to in holder) return null;
  const next = Object.fromEntries(Object.entries(holder).map(([key, value]) => [key === from ? to : key, value]));
  return edited(graph, path.slice(0, -1), next);
}

const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? '');
const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** What a new field begins with: the flow's own input of that name, the node type's example, or what its schema says. */
function beginning(graph: Graph, path: Path, name: string, types: Types): Value {
  const node = path[0] === 'nodes' ? graph.nodes[path[1] ?? ''] : undefined;
  // Inside an undo by another node type, its own inputs are meant.
  const undo = path[2] === 'undo' && typeof node?.undo === 'object' ? node.undo : null;
  // So of a listener, of a node or of the flow itself.
  const list = path.indexOf('listeners');
  const listener = list === 0 || list === 2 ? at(graph, path.slice(0, list + 2)) : null;
  const uses = isObject(listener) ? String(listener.uses ?? '') : (undo?.uses ?? node?.uses);
  const type = uses ? types(uses) : undefined;
  const below = path.slice(listener ? list + 2 : undo ? 3 : 2);
  const part = below[0] === 'config' ? 'config' : 'input';
  const inside = below.slice(1);
  if (part === 'input' && inside.length === 0 && isObject(graph.input?.properties) && name in graph.input.properties)
    return `=input.${name}`;
  let schema = type?.[part];
  for (const step of inside) schema = schema?.properties?.[step];
  const own = schema?.properties?.[name];
  const example = at(type?.examples?.[0]?.[part], [...inside, name]);
  const given = example ?? own?.examples?.[0] ?? own?.default ?? own?.enum?.[0];
  if (given !== undefined) return given as Value;
  switch (Array.isArray(own?.type) ? own.type[0] : own?.type) {
    case 'integer':
    case 'number':
      return own?.minimum ?? 0;
    case 'boolean':
      return false;
    case 'array':
      return [];
    case 'object':
      return {};
    default:
      return '';
  }
}

/** `did you mean …`: a field's name, a word, or a name inside an expression. */
function meant(graph: Graph, problem: Trouble, path: Path, wanted: string): Mend | null {
  const wrong = quoted(problem.message).at(-1) ?? '';
  const here = at(graph, path);
  if (path.at(-1) === wrong && problem.code !== 'UNKNOWN_REFERENCE') {
    const edit = renamed(graph, path, wanted);
    return edit && { kind: 'rename', name: wanted, edit };
  }
  if (typeof here !== 'string') return null;
  if (here === wrong || quoted(problem.message).includes(here))
    return { kind: 'replace', name: wanted, edit: edited(graph, path, wanted) };
  const prefix = wanted.slice(0, wanted.lastIndexOf('.') + 1);
  const name = wrong.startsWith(prefix) ? wrong.slice(prefix.length) : wrong;
  const mention = new RegExp(`(?<![\\w.$])${literal(prefix + name)}(?![\\w])`, 'g');
  const next = here.replace(mention, wanted);
  return next === here ? null : { kind: 'replace', name: wanted, edit: edited(graph, path, next) };
}

/** The way out of a choice that is taken when nothing else is: one that says no condition yet, or the last. */
function defaultWay(graph: Graph, id: NodeId): Mend | null {
  const ways = graph.edges.map((edge, index) => ({ edge, index })).filter(({ edge }) => edge.from === id);
  const way = ways.find(({ edge }) => !edge.when?.trim()) ?? ways.at(-1);
  if (!way || ways.some(({ edge }) => edge.default)) return null;
  const { when: _, ...rest } = way.edge;
  const edge: FlowEdge = { ...rest, default: true };
  return { kind: 'default', name: way.edge.to, edit: edited(graph, ['edges', String(way.index)], edge) };
}

/** Leads a node that goes nowhere to the flow's end, if it has one, or to a new one. */
function toEnd(graph: Graph, id: NodeId, ports: Ports): Mend {
  const level = parentOf(graph, id);
  const ends = Object.keys(graph.nodes).filter(
    (other) => graph.nodes[other]?.type === 'end' && parentOf(graph, other) === level,
  );
  const [only] = ends;
  if (ends.length === 1 && only)
    return { kind: 'connect', name: only, edit: connect(graph, id, undefined, only, ports) };
  return { kind: 'add', name: 'end', edit: addAfter(graph, id, undefined, { type: 'end', output: {} }, ports) };
}

function extreme(graph: Graph, type: 'start' | 'end', ports: Ports): Mend {
  const all = boxes(graph, ports);
  const drawn = Object.keys(graph.nodes).flatMap((id) => {
    const box = all[id];
    return box ? [{ ...box, right: box.x + box.width }] : [];
  });
  const y = drawn[0]?.y ?? 0;
  const x =
    type === 'start'
      ? Math.min(0, ...drawn.map((box) => box.x - 144))
      : Math.max(0, ...drawn.map((box) => box.right + 96));
  const node: FlowNode = type === 'end' ? { type, output: {} } : { type };
  return { kind: 'add', name: type, edit: addNode(graph, node, { x, y }) };
}

/** What takes a problem away in one press, or null where the author must decide. */
export function mend(graph: Graph, problem: Trouble, types: Types): Mend | null {
  const found = remedy(graph, problem, types);
  return found?.edit.ok ? found : null;
}

function remedy(graph: Graph, problem: Trouble, types: Types): Mend | null {
  const path = parse(problem.pointer);
  const fix = problem.fix ?? '';
  const id = path[0] === 'nodes' ? (path[1] ?? '') : '';
  const node = graph.nodes[id];
  const last = path.at(-1) ?? '';
  const meantBy = /^did you mean `(.+)`\?$/.exec(fix)?.[1];
  if (meantBy !== undefined) return meant(graph, problem, path, meantBy);
  const cut = (): Mend => {
    const edge = graph.edges[Number(path[1])];
    return { kind: 'cut', name: '', edit: remove(graph, [], edge ? [edgeId(edge, Number(path[1]))] : []) };
  };
  const set = (where: Path, name: string, value: unknown): Mend => ({
    kind: 'set',
    name,
    edit: edited(graph, where, value),
  });
  switch (problem.code) {
    case 'EDGE_CROSSES':
    case 'EDGE_FROM_END':
    case 'EDGE_TO_START':
    case 'DANGLING_EDGE':
      return cut();
    case 'CONDITION_FORM': {
      const when = at(graph, path);
      return typeof when === 'string' ? set(path, when.replace(/^=/, ''), when.replace(/^=/, '')) : null;
    }
    case 'NO_DEFAULT':
      return defaultWay(graph, id);
    case 'EDGE_WITHOUT_CONDITION': {
      const edge = graph.edges[Number(path[1])];
      return edge ? defaultWay(graph, edge.from) : null;
    }
    case 'DEAD_END':
      return node ? toEnd(graph, id, types) : null;
    case 'NO_START':
      return extreme(graph, 'start', types);
    case 'NO_END':
      return extreme(graph, 'end', types);
    case 'HANDLER_WITHOUT_EDGE':
      return { kind: 'remove', name: last, edit: removeBoundary(graph, id, last) };
    case 'NO_UNDO':
      return node?.uses && types(node.uses)?.undo ? set(['nodes', id, 'undo'], 'undo: true', true) : null;
    case 'LISTENER_FORM':
      if (last === 'onFailure') return { kind: 'replace', name: 'incident', edit: edited(graph, path, undefined) };
      return fix.endsWith('or remove it') ? { kind: 'remove', name: last, edit: edited(graph, path, undefined) } : null;
    case 'UNDO_NOT_OFFERED':
      return { kind: 'remove', name: 'undo', edit: edited(graph, ['nodes', id, 'undo'], undefined) };
    case 'RECEIVE_WITHOUT_TIMEOUT':
      return set(['nodes', id, 'timeout'], 'timeout: 24h', '24h');
    case 'TIMER_FORM': {
      if (!node) return null;
      const { until: _, ...rest } = node;
      return set(['nodes', id], 'after: 30m', { ...rest, after: '30m' });
    }
    case 'UNKNOWN_NODE_TYPE': {
      const uses = /^use ([a-z][\w./-]*@\d+)/.exec(fix)?.[1];
      return uses ? { kind: 'replace', name: uses, edit: edited(graph, path, uses) } : null;
    }
  }
  const added = /^add `([^`]+)`$/.exec(fix)?.[1];
  if (added !== undefined) {
    const where = [...path, added];
    return { kind: 'add', name: added, edit: edited(graph, where, beginning(graph, path, added, types)) };
  }
  const removed = /^remove `([^`]+)`$/.exec(fix)?.[1] ?? (fix === 'remove it' ? last : undefined);
  if (removed === undefined || at(graph, path) === undefined) return null;
  const where = last === removed ? path : [...path, removed];
  return { kind: 'remove', name: removed, edit: edited(graph, where, undefined) };
}
