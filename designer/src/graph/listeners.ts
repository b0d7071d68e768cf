// Listeners of a node or of the flow: what is called or written when it is entered, left, has failed or is over. They
// are heard in the order of the list. A field that means nothing beside another goes with it.
import type { FlowNode, Graph, NodeId, Value } from './document';
import { clean } from './edit';

export const MOMENTS = ['enter', 'leave', 'error', 'end'] as const;
export type Moment = (typeof MOMENTS)[number];

export interface Listener {
  on: Moment;
  uses?: string;
  config?: Record<string, Value>;
  with?: Record<string, Value> | string;
  timeout?: string;
  retry?: FlowNode['retry'];
  set?: Record<string, Value>;
  priority?: Value;
  onFailure?: string;
}

/** Most listeners of one node: the checker's own bound. */
export const LISTENERS_MAX = 16;

export const readListeners = (value: unknown): Listener[] =>
  Array.isArray(value) ? value.filter((one): one is Listener => typeof one?.on === 'string') : [];

/** Only what is not over yet can still fail. */
export const canFail = (on: string): boolean => on === 'enter' || on === 'leave';

/** A listener with some fields changed; a field given as undefined is taken away, with what hangs on it. */
export function changed(listener: Listener, change: Partial<Listener>): Listener {
  const next = { ...listener, ...change };
  if ('uses' in change && change.uses !== listener.uses) Object.assign(next, { config: undefined, with: undefined });
  if (!next.uses) Object.assign(next, { timeout: undefined, retry: undefined });
  if (next.onFailure === 'fail' && !canFail(next.on)) next.onFailure = undefined;
  return clean({ ...next }) as unknown as Listener;
}

/** The list with one of them a place earlier or later. */
export function moved(all: readonly Listener[], index: number, by: -1 | 1): Listener[] {
  const list = [...all];
  const [one, other] = [list[index], list[index + by]];
  if (one && other) [list[index], list[index + by]] = [other, one];
  return list;
}

/** What is heard at a node, in the order it happens. Those of the flow stand on its start. */
export function heardAt(graph: Graph, id: NodeId): Moment[] {
  const node = graph.nodes[id];
  const all = readListeners(node?.type === 'start' && !node.in ? graph.listeners : node?.listeners);
  return MOMENTS.filter((moment) => all.some((one) => one.on === moment));
}
