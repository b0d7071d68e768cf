// From a document to what the canvas library draws. Unchanged nodes keep their object, so that an edit repaints what it
// touched and nothing else.
import { type Edge, MarkerType, type Node, Position } from '@xyflow/svelte';
import type { NodeRun, Token } from '../api/shapes';
import { around, hidden, inOrder, isCollapsed, isContainer, parents } from '../graph/containers';
import { edgeId, type FlowNode, type Graph, type NodeId } from '../graph/document';
import { type Box, FRAME, shapeOf } from '../graph/layout';
import { heardAt } from '../graph/listeners';
import { hasInput, manyEdges, type Port, portOf, portsOf } from '../graph/ports';
import { type MessageKey, t, text } from '../shell/i18n.svelte';
import { CONSTRUCT_ICON, catalogue, nodeTitle } from './catalogue.svelte';
import type { EdgeData, Items, NodeData } from './context';
import type { Editor } from './editor.svelte';

export interface Run {
  nodes: Record<NodeId, NodeRun>;
  tokens: Token[];
  /** Of each for-each. */
  items?: Record<NodeId, Items>;
  /** Where a token may be put, while one is being moved. */
  targets?: Set<NodeId> | null;
}

interface Known {
  parts: unknown[];
  node: Node;
}

export type NodeCache = Map<NodeId, Known>;
export type EdgeCache = Map<string, { parts: unknown[]; edge: Edge }>;

const alike = (known: { parts: unknown[] } | undefined, parts: unknown[]): boolean =>
  known?.parts.every((part, index) => part === parts[index]) ?? false;

function subtitle(node: FlowNode): string {
  switch (node.type) {
    case 'task':
      return node.uses ?? t('node.noUses');
    case 'decision': {
      if (typeof node.table === 'string') return node.table;
      const rules = (node.table as { rules?: unknown[] } | undefined)?.rules?.length ?? 0;
      return t('node.rules', { n: rules });
    }
    case 'set':
      return Object.keys(node.vars ?? {}).join(', ') || t('node.noVars');
    case 'timer':
      return node.after ?? (node.until ? `→ ${node.until}` : '');
    case 'receive':
      return [node.message, node.timeout].filter(Boolean).join(' · ');
    case 'user-task':
      return names(node.assignee) || names(node.groups) || names(node.users) || t('node.anyone');
    case 'external-task':
      return node.topic || t('node.noTopic');
    case 'call':
      return node.flow || t('node.noFlow');
    case 'for-each':
      return [
        items(node.items),
        node.limit && node.limit > 1 ? t('node.atOnce', { n: node.limit }) : t('node.oneByOne'),
      ].join(' · ');
    case 'stage':
      return [node.steps ? t('node.inOrder') : '', node.timeout ?? ''].filter(Boolean).join(' · ');
    case 'parallel':
      return join(node);
    case 'cancel':
      return t('node.stops', { n: node.nodes?.length ?? 0 });
    case 'end': {
      const status = (node.output as { status?: unknown } | null | undefined)?.status;
      return typeof status === 'string' && status !== text(node.title) ? status : '';
    }
    default:
      return '';
  }
}

const names = (value: unknown): string =>
  Array.isArray(value) ? value.filter(Boolean).map(String).join(', ') : typeof value === 'string' ? value : '';

const items = (value: unknown): string =>
  Array.isArray(value)
    ? t('node.items', { n: value.length })
    : typeof value === 'string'
      ? value.replace(/^=/, '')
      : '';

/** A join that does not wait for all says what it waits for. */
function join(node: FlowNode): string {
  const { count, percent, must } = node.join ?? {};
  if (count === 1) return t('join.first');
  if (count !== undefined) return t('join.countOf', { n: count });
  if (percent !== undefined) return t('join.percentOf', { n: percent });
  return must && must.length > 0 ? t('join.mustOf', { n: must.length }) : '';
}

function portText(node: FlowNode, port: { name?: string; label: string; kind: string }): string {
  if (port.kind === 'timeout' && node.on?.[port.label] === undefined) return t('port.timeout');
  if (port.kind !== 'flow') return port.label;
  const type = node.uses ? catalogue.get(node.uses) : undefined;
  return text(type?.ports.find((one) => one.name === port.label)?.title, port.label);
}

/** The middle of a card's first row, and of each row below it, from the top. */
export const FIRST_ROW = 32;
export const portRow = (index: number): number => (index === 0 ? FIRST_ROW : 64 + (index - 1) * 24 + 12);
/** Where along the lower side of a circle a handler leaves, as a share of its width. */
export const portShare = (index: number, ports: number): number => index / ports;
const HANDLE = 9;

/** Where along the lower side of a frame a handler leaves, px. */
export const framePort = (index: number): number => FRAME.pad + (index - 1) * FRAME.port + FRAME.port / 2;

/** Where edges arrive and leave, told beforehand: the library would draw every node of a flow once to measure it. */
function handlesOf(
  node: FlowNode,
  ports: Port[],
  size: { width: number; height: number },
  frame: boolean,
): Node['handles'] {
  const round = shapeOf(node) !== 'card';
  const middle = frame ? FRAME.head / 2 : round ? size.height / 2 : FIRST_ROW;
  const handle = (type: 'source' | 'target', position: Position, x: number, y: number, id: string | null) => ({
    type,
    position,
    id,
    x: x - HANDLE / 2,
    y: y - HANDLE / 2,
    width: HANDLE,
    height: HANDLE,
  });
  const out = ports.map((port, index) =>
    frame
      ? index > 0
        ? handle('source', Position.Bottom, framePort(index), size.height + FRAME.hang, port.name ?? null)
        : handle('source', Position.Right, size.width, middle, null)
      : round && index > 0
        ? handle('source', Position.Bottom, size.width * portShare(index, ports.length), size.height, port.name ?? null)
        : handle('source', Position.Right, size.width, round ? middle : portRow(index), port.name ?? null),
  );
  return hasInput(node) ? [handle('target', Position.Left, 0, middle, null), ...out] : out;
}

export function drawNodes(
  editor: Editor,
  places: Record<NodeId, Box>,
  run: Run | null,
  current: Node[],
  cache: NodeCache,
): Node[] {
  const { graph, selection, problemsByNode, focused, readonly } = editor;
  const chosen = new Set(selection.nodes);
  const before = new Map(current.map((node) => [node.id, node]));
  const locale = t('app.close');
  const used = new Map<string, number>();
  for (const edge of graph.edges) {
    const key = `${edge.from}\n${portOf(graph, edge, catalogue.get) ?? ''}`;
    used.set(key, (used.get(key) ?? 0) + 1);
  }
  // Where an ended instance never came is drawn as not reached, without a mark.
  const runs: Record<NodeId, NodeRun | undefined> = {};
  for (const [id, one] of Object.entries(run?.nodes ?? {}))
    if (one.visits > 0 || one.state !== 'skipped') runs[id] = one;
  const nodes: Node[] = [];
  const inside = parents(graph);
  const unseen = hidden(graph);
  const held = new Map<NodeId, number>();
  for (const parent of inside.values()) held.set(parent, (held.get(parent) ?? 0) + 1);
  const turns = turnsOf(graph);
  for (const id of editor.order) {
    const node = graph.nodes[id];
    const at = places[id];
    if (!node || !at || unseen.has(id)) continue;
    const container = isContainer(node);
    const collapsed = container && isCollapsed(graph, id);
    const frame = container && !collapsed;
    const parent = inside.get(id);
    const outer = parent === undefined ? undefined : places[parent];
    const position = { x: at.x - (outer?.x ?? 0), y: at.y - (outer?.y ?? 0) };
    const step = turns.get(id) ?? null;
    const items = run?.items?.[id] ?? null;
    const ports = portsOf(node, catalogue.get);
    const free = ports.map((port) => !used.has(`${id}\n${port.name ?? ''}`));
    const problems = problemsByNode.get(id) ?? [];
    const tokens = run?.tokens.filter((token) => token.node === id) ?? [];
    const selected = chosen.has(id);
    const target = run?.targets ? run.targets.has(id) : null;
    const heard = heardAt(graph, id)
      .map((moment) => t(`listener.${moment}`))
      .join(', ');
    const parts = [
      node,
      heard,
      at.x,
      at.y,
      at.width,
      at.height,
      position.x,
      position.y,
      parent,
      collapsed,
      held.get(id),
      step && `${step.turn} ${step.sync} ${step.optional}`,
      items && JSON.stringify(items),
      selected,
      target,
      focused === id,
      readonly,
      locale,
      catalogue.byUses,
      runs[id],
      run === null,
      free.join(),
      tokens.map((token) => `${token.state} ${token.listener ?? ''}`).join(),
      problems.map((problem) => problem.message).join('\n'),
    ];
    const known = cache.get(id);
    if (known && alike(known, parts)) {
      const live = before.get(id);
      nodes.push(
        live && live.data === known.node.data && live.selected === selected
          ? live
          : { ...known.node, measured: live?.measured },
      );
      continue;
    }
    const type = node.uses ? catalogue.get(node.uses) : undefined;
    const title = nodeTitle(id, node);
    const own = runs[id];
    const spoken = [
      t(`construct.${node.type}` as MessageKey),
      container ? t('node.holds', { n: held.get(id) ?? 0 }) : '',
      parent === undefined ? '' : t('node.inside', { name: editor.title(parent) }),
      own ? t(`node.${own.state}`) : '',
      heard === '' ? '' : t('listener.mark', { on: heard }),
      target ? t('canvas.target') : '',
      problems.length > 0 ? t('problems.count', { n: problems.length }) : '',
    ].filter(Boolean);
    const data: NodeData = {
      node,
      title,
      subtitle: subtitle(node),
      icon: CONSTRUCT_ICON[node.type] ?? 'box',
      svg: type?.icon,
      effect: type?.effect,
      ports: ports.map((port, index) => ({ ...port, free: free[index] ?? false, text: portText(node, port) })),
      box: at,
      holds: container ? (held.get(id) ?? 0) : null,
      collapsed,
      step,
      items,
      undo: Boolean(node.undo),
      heard,
      missing: node.type === 'task' && catalogue.loaded && !type,
      problems,
      run: runs[id],
      tokens,
      dim: target === null ? run !== null && !runs[id] && tokens.length === 0 : !target,
      tabstop: focused === id,
      label: [title, ...spoken].join(', '),
      status: spoken.join(', '),
    };
    const size = { width: at.width, height: at.height };
    const live = before.get(id);
    const drawn: Node = {
      id,
      type: frame ? 'frame' : shapeOf(node) === 'card' ? 'card' : 'round',
      position,
      ...(parent === undefined ? {} : { parentId: parent }),
      // Beneath the lines, an inner frame above an outer one.
      ...(frame ? { zIndex: around(graph, id).length - 100, dragHandle: '.grip' } : {}),
      data,
      selected,
      ...(target ? { class: 'target' } : {}),
      ...size,
      handles: handlesOf(node, ports, size, frame),
      draggable: !readonly,
      connectable: !readonly,
      deletable: false,
      focusable: false,
      domAttributes: { 'aria-roledescription': undefined, 'aria-describedby': undefined },
      ...(live?.measured ? { measured: size } : {}),
    };
    cache.set(id, { parts, node: drawn });
    nodes.push(drawn);
  }
  for (const id of cache.keys()) if (!graph.nodes[id]) cache.delete(id);
  return nodes;
}

/** Of every step of a stage its turn: steps that begin together share one. */
function turnsOf(graph: Graph): Map<NodeId, NonNullable<NodeData['step']>> {
  const turns = new Map<NodeId, NonNullable<NodeData['step']>>();
  for (const node of Object.values(graph.nodes)) {
    if (node.type !== 'stage' || !Array.isArray(node.steps)) continue;
    let turn = 1;
    for (const step of inOrder(node.steps)) {
      turns.set(step.run, { turn, sync: step.sync === true, optional: step.optional === true });
      if (step.sync) turn += 1;
    }
  }
  return turns;
}

export function drawEdges(editor: Editor, run: Run | null, cache: EdgeCache): Edge[] {
  const { graph, selection, readonly } = editor;
  const chosen = new Set(selection.edges);
  const ways = new Map<NodeId, number>();
  for (const edge of graph.edges) ways.set(edge.from, (ways.get(edge.from) ?? 0) + 1);
  const locale = t('app.close');
  const unseen = hidden(graph);
  const drawn = graph.edges.flatMap((edge, index) => {
    if (unseen.has(edge.from) || unseen.has(edge.to)) return [];
    const id = edgeId(edge, index);
    const from = graph.nodes[edge.from];
    const port = portOf(graph, edge, catalogue.get);
    const travelled = run !== null && wasTravelled(graph, run, edge, port);
    const parts = [
      edge,
      from,
      graph.nodes[edge.to],
      ways.get(edge.from),
      chosen.has(id),
      run === null,
      travelled,
      readonly,
      locale,
      catalogue.byUses,
    ];
    const known = cache.get(id);
    if (known && alike(known, parts)) return known.edge;
    const handler = from?.on?.[port ?? ''];
    const kind =
      handler?.type === 'error'
        ? 'error'
        : handler?.type === 'message'
          ? 'message'
          : port === 'timeout' || handler?.type === 'timeout'
            ? 'timeout'
            : edge.when !== undefined
              ? 'condition'
              : edge.default
                ? 'default'
                : port
                  ? 'port'
                  : 'plain';
    const { text: words, missing } = edgeText(graph, edge, port, kind, ways.get(edge.from) ?? 0);
    const data: EdgeData = {
      text: words,
      kind,
      beside: handler?.interrupting === false,
      missing,
      travelled,
      dim: run !== null && !travelled,
    };
    const fresh = {
      id,
      source: edge.from,
      target: edge.to,
      sourceHandle: port ?? null,
      type: 'flow',
      data,
      selected: chosen.has(id),
      selectable: true,
      deletable: false,
      focusable: false,
      zIndex: chosen.has(id) ? 5 : travelled ? 2 : 0,
      markerEnd: {
        type: MarkerType.ArrowClosed,
        width: 17,
        height: 17,
        markerUnits: 'userSpaceOnUse',
        ...(travelled ? { color: 'var(--green-ink)' } : {}),
      },
      ariaLabel: `${editor.title(edge.from)} → ${editor.title(edge.to)}${words ? `: ${words}` : ''}`,
      reconnectable: !readonly,
      domAttributes: { 'aria-roledescription': undefined },
    } as Edge;
    cache.set(id, { parts, edge: fresh });
    return fresh;
  });
  if (cache.size > drawn.length) {
    const present = new Set(drawn.map((edge) => edge.id));
    for (const id of cache.keys()) if (!present.has(id)) cache.delete(id);
  }
  return drawn;
}

function edgeText(
  graph: Graph,
  edge: Graph['edges'][number],
  port: string | undefined,
  kind: EdgeData['kind'],
  ways: number,
): { text: string; missing: boolean } {
  const title = text(edge.title);
  if (title) return { text: title, missing: false };
  if (edge.when !== undefined)
    return edge.when.trim() === ''
      ? { text: t('edge.noCondition'), missing: true }
      : { text: edge.when, missing: false };
  if (kind === 'default') return { text: ways > 1 ? t('edge.default') : '', missing: false };
  const from = graph.nodes[edge.from];
  if (!from) return { text: '', missing: false };
  const ports = portsOf(from, catalogue.get);
  const named = ports.find((one) => one.name === port);
  // Extra ports are named on the card itself; circles and typed first ports have no other place for their name.
  if (
    named &&
    (shapeOf(from) !== 'card'
      ? port !== undefined
      : port === undefined && ports.filter((one) => one.kind === 'flow').length > 1)
  ) {
    return { text: portText(from, named), missing: false };
  }
  return { text: '', missing: false };
}

/** Whether a run went along this edge: its source is through, its target was reached, and the port agrees. */
function wasTravelled(graph: Graph, run: Run, edge: Graph['edges'][number], port: string | undefined): boolean {
  const from = run.nodes[edge.from];
  const to = run.nodes[edge.to];
  if (!from || !to || to.visits === 0 || (from.state !== 'done' && from.state !== 'undone' && from.state !== 'failed'))
    return false;
  const node = graph.nodes[edge.from];
  if (!node || manyEdges(node)) return true;
  const first = node.uses ? catalogue.get(node.uses)?.ports[0]?.name : undefined;
  const left =
    from.port === undefined || from.port === null || from.port === (first ?? 'out') || from.port === 'done'
      ? undefined
      : from.port;
  return left === port;
}
