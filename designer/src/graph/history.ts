// Undo and redo as a list of documents. Documents share structure, so an entry costs what changed. Edits with the same
// `merge` name in a row become one entry: typing a word is one undo.
import type { Graph } from './document';

export interface History {
  past: { graph: Graph; label: string }[];
  present: Graph;
  future: { graph: Graph; label: string }[];
  merge: string | null;
}

const ENTRIES_MAX = 500;

export const begin = (graph: Graph): History => ({ past: [], present: graph, future: [], merge: null });

export function commit(history: History, graph: Graph, label: string, merge: string | null = null): History {
  if (graph === history.present) return history;
  if (merge !== null && merge === history.merge) return { ...history, present: graph, future: [] };
  return {
    past: [...history.past, { graph: history.present, label }].slice(-ENTRIES_MAX),
    present: graph,
    future: [],
    merge,
  };
}

/** Ends a run of merged edits: the next one is an entry of its own. */
export const seal = (history: History): History => (history.merge === null ? history : { ...history, merge: null });

export function undo(history: History): History {
  const last = history.past.at(-1);
  if (!last) return history;
  return {
    past: history.past.slice(0, -1),
    present: last.graph,
    future: [{ graph: history.present, label: last.label }, ...history.future],
    merge: null,
  };
}

export function redo(history: History): History {
  const [next, ...rest] = history.future;
  if (!next) return history;
  return {
    past: [...history.past, { graph: history.present, label: next.label }],
    present: next.graph,
    future: rest,
    merge: null,
  };
}
