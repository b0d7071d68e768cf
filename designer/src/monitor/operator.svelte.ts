// What an operator may ask of one instance: which command is being confirmed, which token is being moved, and the
// requests themselves. The page shows dialogs after `asking` and gives targets to the canvas after `moving`.
import { api } from '../api/client';
import type { InstanceDetail, Json, Token } from '../api/shapes';
import { parentOf } from '../graph/containers';
import type { Graph, NodeId } from '../graph/document';
import { t } from '../shell/i18n.svelte';
import { lacks } from '../shell/session.svelte';
import { isOver } from '../shell/status';
import { complain, toast } from '../shell/toasts.svelte';

export type Asking =
  | { what: 'cancel' | 'compensate' | 'suspend' | 'migrate' | 'erase' }
  | { what: 'message'; name: string; key: string }
  | { what: 'again' | 'skip' | 'complete' | 'fail'; token: Token; title: string }
  | { what: 'move'; token: Token; from: string; to: NodeId; title: string };

/** Gives up a call, or stands beside a node: neither is anywhere that it could be taken from. */
const STAYS = new Set<Token['state']>(['abandoned', 'guard', 'undoing']);
export const canMove = (token: Token): boolean => !STAYS.has(token.state);

/** Where a token may be put: any node of its own flow or container but a start. */
export function targetsOf(graph: Graph, token: Token): Set<NodeId> {
  const inside = parentOf(graph, token.node);
  const fits = (id: NodeId) => graph.nodes[id]?.type !== 'start' && parentOf(graph, id) === inside;
  return new Set(graph.nodes[token.node] ? Object.keys(graph.nodes).filter(fits) : []);
}

export class Operator {
  busy = $state(false);
  asking = $state.raw<Asking | null>(null);
  /** The token that is being moved: the canvas asks where to. */
  moving = $state.raw<Token | null>(null);
  /** Of the instance, once it is known. */
  flow = $state<string | null>(null);
  /** Why this person may not command it; undefined: they may. */
  no = $derived(this.flow === null ? undefined : lacks('operator', { flow: this.flow }));

  constructor(
    readonly id: string,
    readonly reload: () => Promise<unknown>,
  ) {}

  /** Does it, says so, and shows what came of it. A refusal is the caller's. */
  async perform(what: string, call: () => Promise<unknown>): Promise<void> {
    this.busy = true;
    try {
      await call();
      toast({ tone: 'good', text: what });
      await this.reload().catch(() => {});
    } finally {
      this.busy = false;
    }
  }

  /** The same for what needs no dialog: a refusal is told at the foot of the window. */
  async act(what: string, failed: string, call: () => Promise<unknown>): Promise<void> {
    await this.perform(what, call).catch((error) => complain(failed, error));
  }

  retry(at: { node?: string; token?: Token['token'] }): Promise<void> {
    return this.act(t('live.retrying'), t('app.retry'), () => api.retry(this.id, at));
  }
  resume(): Promise<void> {
    return this.act(t('live.resumed'), t('live.resume'), () => api.resume(this.id));
  }
  suspend(reason: string): Promise<void> {
    return this.perform(t('live.suspendedNow'), () => api.suspend(this.id, reason || undefined));
  }
  cancel(reason: string): Promise<void> {
    return this.perform(t('live.cancelled'), () => api.cancel(this.id, reason || undefined));
  }
  compensate(reason: string): Promise<void> {
    return this.perform(t('live.compensating'), () => api.compensate(this.id, reason || undefined));
  }
  again(token: Token): Promise<void> {
    return this.perform(t('live.retrying'), () => api.retry(this.id, { token: token.token, newKey: true }));
  }
  skip(token: Token): Promise<void> {
    return this.perform(t('live.skipped'), () => api.skip(this.id, token.token));
  }
  erase(): Promise<void> {
    return this.perform(t('live.erased'), () => api.erase(this.id));
  }
  move(token: Token, to: NodeId): Promise<void> {
    return this.perform(t('live.moved'), () => api.move(this.id, token.token, to));
  }
  migrate(version: number, nodes: Record<string, string>): Promise<void> {
    return this.perform(t('live.migrating'), () => api.migrate(this.id, version, nodes));
  }
  message(name: string, key: string, payload: Json): Promise<void> {
    return this.perform(t('live.sent'), () => api.message({ name, key, payload }));
  }
}

/** Whether anything can be asked of it at all. */
export const commandable = (instance: Pick<InstanceDetail, 'state'> | null): boolean =>
  instance !== null && !isOver(instance.state);
