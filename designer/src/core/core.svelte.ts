// Questions to the engine's core: checks, previews, tables. Started by the first caller, once the canvas stands.
import { api } from '../api/client';
import type { CheckResult, Json, NodeType } from '../api/shapes';
import type { Ask, Told } from './worker';

export type Preview =
  | { ok: true; value: Json; type: string }
  | { ok: false; code: string; message: string; from?: number; to?: number };
export type TableResult = { ok: boolean; value?: Json; rows?: number[]; message?: string };

let phase = $state<'asleep' | 'loading' | 'ready' | 'unavailable'>('asleep');
let worker: Worker | null = null;
let next = 1;
const waiting = new Map<number, { resolve: (text: string) => void; reject: (error: Error) => void }>();
let settle: (ready: boolean) => void = () => {};
const settled = new Promise<boolean>((resolve) => {
  settle = resolve;
});

export const corePhase = () => phase;
/** Why the last document could not be checked here: a schema, or a flow it calls, is not at hand. */
let why = $state('');
export const beyond = (): string => why;

export function wake(): void {
  if (phase !== 'asleep') return;
  phase = 'loading';
  const fail = () => {
    phase = 'unavailable';
    settle(false);
    for (const one of waiting.values()) one.reject(new Error('the checker stopped'));
    waiting.clear();
  };
  try {
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  } catch {
    fail();
    return;
  }
  worker.onerror = fail;
  worker.onmessage = (event: MessageEvent<Told>) => {
    const told = event.data;
    if ('ready' in told) {
      if (!told.ready) return fail();
      phase = 'ready';
      settle(true);
      return;
    }
    const one = waiting.get(told.id);
    waiting.delete(told.id);
    if (told.ok) one?.resolve(told.text);
    else one?.reject(new Error(told.message));
  };
}

async function ask<T>(call: Ask['call'], args: string[]): Promise<T> {
  wake();
  if (!(await settled) || !worker) throw new Error('the checker is not available');
  const id = next++;
  const text = await new Promise<string>((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker?.postMessage({ id, call, args } satisfies Ask);
  });
  return JSON.parse(text) as T;
}

/** Checks with the WASM core, or on the server where the core is missing. */
export async function check(document: unknown, nodeTypes: NodeType[], signal?: AbortSignal): Promise<CheckResult> {
  if (phase === 'ready') {
    try {
      const text = [JSON.stringify(document), JSON.stringify({ nodeTypes })];
      const result = await ask<CheckResult | { beyond: string }>('check', text);
      // A schema may say what only the engine can check, and called flows are known to it alone.
      why = 'problems' in result ? '' : result.beyond;
      if ('problems' in result) return result;
    } catch {
      // A trap in the core must not leave the canvas without problems: the server knows the same rules.
    }
  }
  return api.check(document, signal);
}

export const preview = (expression: string, context: unknown, options: unknown = {}): Promise<Preview> =>
  ask('preview', [expression, JSON.stringify(context), JSON.stringify(options)]);

export const evaluateTable = (table: unknown, context: unknown): Promise<TableResult> =>
  ask('evaluateTable', [JSON.stringify(table), JSON.stringify(context)]);
