// The flows that can be called: names and versions as published, and what each takes. Asked for when a form needs them.
import { api } from '../api/client';
import type { FlowSummary, JsonSchema } from '../api/shapes';

let published = $state.raw<FlowSummary[] | null>(null);
let versions = $state.raw<Record<string, number[]>>({});
let inputs = $state.raw<Record<string, JsonSchema | null>>({});
const asked = new Set<string>();

const once = (name: string, ask: () => Promise<void>): void => {
  if (asked.has(name)) return;
  asked.add(name);
  // What the server does not know may be published later: the next form asks again.
  ask().catch(() => asked.delete(name));
};

export function publishedFlows(): FlowSummary[] {
  once('flows', async () => {
    published = (await api.flows()).items.filter((flow) => flow.latestVersion !== null);
  });
  return published ?? [];
}

export function versionsOf(key: string): number[] {
  if (key !== '')
    once(`versions ${key}`, async () => {
      const flow = await api.flow(key);
      versions = { ...versions, [key]: flow.versions.map((one) => one.version) };
    });
  return versions[key] ?? [];
}

/** The input's schema; null until it is known. */
export function inputOf(key: string, version: number | null): JsonSchema | null {
  if (key === '' || version === null) return null;
  const name = `${key}@${version}`;
  once(name, async () => {
    const { document } = await api.version(key, version);
    const input = (document as { input?: JsonSchema } | null)?.input;
    inputs = { ...inputs, [name]: input ?? {} };
  });
  return inputs[name] ?? null;
}

/** `key@version` taken apart; without a version, the newest when the caller is published. */
export function called(flow: string | undefined): { key: string; version: number | null } {
  const [key = '', version] = (flow ?? '').split('@');
  return { key, version: version === undefined || version === '' ? null : Number(version) };
}
