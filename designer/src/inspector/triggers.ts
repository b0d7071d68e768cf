// Triggers as the document has them, and what can be told of a schedule without asking the engine.
import type { Json } from '../api/shapes';

export interface Signed {
  type: 'hmac' | 'standard-webhooks';
  connection: string;
  secrets: string[];
  header?: string;
  prefix?: string;
  algorithm?: string;
  encoding?: string;
  field?: string;
  timestampField?: string;
  timestampHeader?: string;
  signs?: string;
  tolerance?: string;
}

export interface HttpTrigger {
  type: 'http';
  path: string;
  auth?: 'token' | 'none' | Signed;
  wait?: string;
  dedupe?: string;
  message?: { name: string; key: string; id?: string; ttl?: string };
  answer?: Json;
}

export interface ScheduleTrigger {
  type: 'schedule';
  schedule: string;
  name?: string;
  timezone?: string;
  input?: Json;
  missed?: string;
  grace?: string;
}

export type Trigger = HttpTrigger | ScheduleTrigger;

export const authKind = (auth: HttpTrigger['auth']): 'token' | 'none' | 'hmac' | 'standard-webhooks' =>
  typeof auth === 'object' ? auth.type : (auth ?? 'token');

/** Another way to ask keeps the connection and the secrets, where both have them. */
export function withAuth(trigger: HttpTrigger, kind: string): HttpTrigger {
  if (kind !== 'hmac' && kind !== 'standard-webhooks') return { ...trigger, auth: kind === 'none' ? 'none' : 'token' };
  const was = typeof trigger.auth === 'object' ? trigger.auth : undefined;
  const kept = { connection: was?.connection ?? '', secrets: was?.secrets ?? [] };
  const tolerance = was?.tolerance ? { tolerance: was.tolerance } : {};
  if (kind === 'standard-webhooks') return { ...trigger, auth: { type: kind, ...kept, ...tolerance } };
  return { ...trigger, auth: { type: kind, ...kept, header: 'X-Signature', prefix: 'sha256=', ...tolerance } };
}

/** A record without what was set to nothing. */
export const trimmed = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T;

const FIELDS = ['minute', 'hour', 'day', 'month', 'weekday'] as const;
export type CronField = 'second' | (typeof FIELDS)[number];

/** The parts of a cron expression by their names; null where their number is another. */
export function cronParts(text: string): { field: CronField; text: string }[] | null {
  const parts = text.trim().split(/\s+/).filter(Boolean);
  const fields: CronField[] = parts.length === 6 ? ['second', ...FIELDS] : [...FIELDS];
  if (parts.length !== fields.length) return null;
  return fields.map((field, index) => ({ field, text: parts[index] ?? '' }));
}

/** What a schedule may begin with, by the key of its name. */
export const CRON_EXAMPLES = [
  ['hourly', '0 * * * *'],
  ['daily', '0 9 * * *'],
  ['weekdays', '0 9 * * 1-5'],
  ['weekly', '0 9 * * mon'],
  ['monthly', '0 9 1 * *'],
  ['lastDay', '0 18 L * *'],
] as const;

export const zones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone')];
