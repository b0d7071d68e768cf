// What an edit answers: the next document, or why it was refused. Shared by everything that writes documents.
import type { Graph, NodeId } from './document';

export type Reason =
  | 'no-such-node'
  | 'no-such-edge'
  | 'port-taken'
  | 'already-connected'
  | 'to-itself'
  | 'has-no-input'
  | 'has-no-output'
  | 'id-taken'
  | 'id-not-valid'
  | 'name-taken'
  | 'one-start-only'
  | 'edge-crosses'
  | 'start-inside'
  | 'into-itself'
  | 'not-a-container'
  | 'several-containers'
  | 'several-ways-out'
  | 'nothing-to-paste'
  | 'nothing-changed';

/** `cut`: connections that went with the edit, so that the canvas can say so. */
export type Edit = { ok: true; graph: Graph; added?: NodeId[]; cut?: number } | { ok: false; reason: Reason };

export const no = (reason: Reason): Edit => ({ ok: false, reason });
export const yes = (graph: Graph, added?: NodeId[]): Edit => (added ? { ok: true, graph, added } : { ok: true, graph });

export function without<T>(record: Record<string, T>, keys: Iterable<string>): Record<string, T> {
  const gone = new Set(keys);
  return Object.fromEntries(Object.entries(record).filter(([key]) => !gone.has(key)));
}

/** Without what was set to nothing. */
export function clean(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}
