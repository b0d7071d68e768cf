// Requests of the machine's pages alone: apart, so that other pages do not carry them.
import { ApiError, BASE, json, part, post } from '../api/client';
import type { Problem, ProblemBody } from '../api/shapes';

export interface ActionEntry {
  name: string;
  document: unknown;
  /** 0: it was published with the version. */
  revision: number;
  addedAt?: string;
  addedBy?: string;
  removedRevision?: number;
  removedAt?: string;
  removedBy?: string;
}

export interface MachineBody {
  key: string;
  version: number;
  revision: number;
  document: unknown;
  actions: ActionEntry[];
  standing: { state: string; instances: number; oldestSince: string }[];
}

export interface Plugged {
  revision: number;
  warnings: Problem[];
  told: number;
}

export interface Considered {
  action: string;
  why: string;
}

export interface Evaluation {
  seq: number;
  at: string;
  path: string;
  state: string;
  revision: number;
  considered: Considered[];
  error?: string;
}

export interface MachineRun {
  state: string;
  since: string;
  revision: number;
  rests: boolean;
  running?: string;
  ran: string[];
  actions: { name: string; priority: number; by: string }[];
  machines: { path: string; state: string; since: string; token?: number }[];
  evaluations: Evaluation[];
}

export const machines = {
  show: (key: string) => json<MachineBody>(`/machines/${part(key)}`),
  plug: (key: string, action: unknown, evaluate: boolean) =>
    json<Plugged>(`/machines/${part(key)}/actions`, post({ action, evaluate })),
  unplug: (key: string, name: string) =>
    json<Plugged>(`/machines/${part(key)}/actions/${part(name)}`, { method: 'DELETE' }),
  act: (instance: string, action: string, context: unknown) =>
    json<null>(`/instances/${part(instance)}/actions`, post({ action, context })),
  evaluate: (instance: string) => json<null>(`/instances/${part(instance)}/evaluate`, post()),
  poolUrl: (key: string, format: 'json' | 'csv') => `${BASE}/machines/${part(key)}/states?format=${format}`,
};

/** Hands a file with the state pool over, into the draft. */
export async function importPool(key: string, file: File): Promise<void> {
  const csv = file.name.toLowerCase().endsWith('.csv');
  const headers = { 'content-type': csv ? 'text/csv' : 'application/json', 'stepwell-csrf': '1' };
  const body = await file.text();
  const path = `${BASE}/machines/${part(key)}/states`;
  const response = await fetch(path, { method: 'PUT', headers, body, credentials: 'same-origin' });
  if (response.ok) return;
  const said = (await response.json().catch(() => ({ status: response.status }))) as ProblemBody;
  throw new ApiError(response.status, said.code ?? `HTTP_${response.status}`, said);
}
