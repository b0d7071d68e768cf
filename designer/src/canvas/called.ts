// The drawings of flows that are called, each at the version its caller is pinned to.
import { api } from '../api/client';
import { type Graph, type NodeId, readGraph, type Title } from '../graph/document';

export interface Level {
  /** The scope of its run, as `pay.1/`; on the drawing alone, the calls that lead to it. */
  path: string;
  call: NodeId;
  key: string;
  version: number | null;
  title: Title | undefined;
  graph: Graph;
  /** When its version was published: what it calls was pinned then. */
  publishedAt: string | null;
}

export interface Caller {
  graph: Graph;
  version: number | null;
  /** Null for a draft: what it calls will be pinned when it is published. */
  publishedAt: string | null;
}

/** `key@version`, or `key`: the newest there was when the caller was published; the caller's own key is itself. */
export async function calledFrom(caller: Caller, call: NodeId): Promise<Omit<Level, 'path'>> {
  const [key = '', named] = (caller.graph.nodes[call]?.flow ?? '').split('@');
  if (key === caller.graph.key && !named) {
    const { graph, version, publishedAt } = caller;
    return { call, key, version, title: graph.title, graph, publishedAt };
  }
  const version = named ? Number(named) : await pinned(key, caller.publishedAt);
  const { document, publishedAt } = await api.version(key, version);
  const graph = readGraph(document);
  return { call, key, version, title: graph.title, graph, publishedAt };
}

async function pinned(key: string, at: string | null): Promise<number> {
  const { versions, latestVersion } = await api.flow(key);
  const then = versions.filter((one) => at === null || one.publishedAt <= at).map((one) => one.version);
  return then.length > 0 ? Math.max(...then) : (latestVersion ?? 1);
}

/** The levels on the way to a scope: `pay.1/ship.2/` leads through two calls, containers between them are passed. */
export async function levelsTo(root: Caller, path: string): Promise<Level[]> {
  const levels: Level[] = [];
  let caller = root;
  const parts = path.split('/').filter(Boolean);
  for (const [at, part] of parts.entries()) {
    const call = part.split('.')[0] ?? '';
    if (caller.graph.nodes[call]?.type !== 'call') continue;
    const level = { path: `${parts.slice(0, at + 1).join('/')}/`, ...(await calledFrom(caller, call)) };
    levels.push(level);
    caller = level;
  }
  return levels;
}
