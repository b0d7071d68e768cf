// What can be put on the canvas: the engine's constructs and the plugins' node types, kept fresh by the event feed.
import { api } from '../api/client';
import { subscribe } from '../api/events';
import type { NodeType } from '../api/shapes';
import { blank } from '../graph/commands';
import { CONSTRUCTS, type FlowNode, type Graph } from '../graph/document';
import { type MessageKey, maybe, t, text } from '../shell/i18n.svelte';
import type { IconName } from '../shell/icons';

export const CONSTRUCT_ICON: Record<string, IconName> = {
  start: 'play',
  end: 'flag',
  task: 'box',
  decision: 'table',
  exclusive: 'fork',
  parallel: 'split',
  inclusive: 'dot',
  'event-gateway': 'zap',
  timer: 'alarm',
  receive: 'mail',
  reply: 'send',
  set: 'variable',
  compensate: 'rewind',
  cancel: 'stop',
  throw: 'alert',
  'user-task': 'user',
  'external-task': 'worker',
  call: 'flow',
  'for-each': 'repeat',
  stage: 'group',
};

/** The drawers of the shelf that hold the engine's own constructs. */
const DRAWER: Record<string, MessageKey> = {
  'user-task': 'palette.work',
  'external-task': 'palette.work',
  call: 'palette.work',
  'for-each': 'palette.containers',
  stage: 'palette.containers',
};

export interface Offer {
  id: string;
  title: string;
  summary: string;
  category: string;
  icon: IconName;
  svg?: string;
  type?: NodeType;
  make: (graph: Graph) => FlowNode;
}

class Catalogue {
  types = $state.raw<NodeType[]>([]);
  loaded = $state(false);
  byUses = $derived(new Map(this.types.map((type) => [type.uses, type])));
  readonly get = (uses: string): NodeType | undefined => this.byUses.get(uses);

  async load(): Promise<void> {
    try {
      this.types = (await api.nodeTypes()).items;
    } finally {
      this.loaded = true;
    }
  }

  /** Loads, and loads again whenever a plugin comes or goes. */
  watch(changed: () => void): () => void {
    return subscribe((event) => {
      if (event.name === 'plugin' || event.name === 'reset') this.load().then(changed, () => {});
    });
  }
}

export const catalogue = new Catalogue();

/** Everything one can add, constructs first. Read at render time: it follows the language. */
export function offers(): Offer[] {
  const own: Offer[] = CONSTRUCTS.filter((type) => type !== 'start').map((type) => ({
    id: type,
    title: t(`construct.${type}` as MessageKey),
    summary: t(`construct.${type}.why` as MessageKey),
    category: t(DRAWER[type] ?? 'palette.flow'),
    icon: CONSTRUCT_ICON[type] ?? 'box',
    make: (graph) => (type === 'for-each' ? { ...blank(type), items: listOf(graph) } : blank(type)),
  }));
  const plugged: Offer[] = catalogue.types.map((type) => ({
    id: type.uses,
    title: text(type.title, type.id),
    summary: text(type.summary),
    category: categoryOf(type),
    icon: 'plugin',
    svg: type.icon,
    type,
    make: (graph) => newTask(type, graph),
  }));
  return [...own, ...plugged];
}

/** What a new for-each goes through: the first list among the flow's inputs. */
function listOf(graph: Graph): string {
  const inputs = Object.entries((graph.input?.properties ?? {}) as Record<string, { type?: unknown }>);
  return `=input.${inputs.find(([, schema]) => schema.type === 'array')?.[0] ?? 'items'}`;
}

/** The drawer of a node type: the contract's own names are translated, others stand as the plugin wrote them. */
function categoryOf(type: NodeType): string {
  const name = type.category || (type.id.split('/')[0] ?? '');
  return maybe(`category.${name}`, name.charAt(0).toUpperCase() + name.slice(1));
}

/** A new task begins with its type's defaults, and with the flow's inputs wherever the names agree. */
export function newTask(type: NodeType, graph: Graph): FlowNode {
  const config = Object.fromEntries(
    Object.entries(type.config?.properties ?? {}).flatMap(([name, schema]) =>
      schema.default === undefined ? [] : [[name, schema.default]],
    ),
  );
  const given = (graph.input?.properties ?? {}) as Record<string, unknown>;
  const mapped = Object.keys(type.input?.properties ?? {}).filter((name) => given[name] !== undefined);
  return {
    type: 'task',
    uses: type.uses,
    ...(Object.keys(config).length > 0 ? { config } : {}),
    ...(mapped.length > 0 ? { with: Object.fromEntries(mapped.map((name) => [name, `=input.${name}`])) } : {}),
    ...(type.undo && type.effect === 'external' ? { undo: true } : {}),
  };
}

export function nodeTitle(id: string, node: FlowNode): string {
  if (node.title) return text(node.title, id);
  const type = node.uses ? catalogue.get(node.uses) : undefined;
  if (type) return text(type.title, id);
  return node.type === 'task' ? id : t(`construct.${node.type}` as MessageKey);
}
