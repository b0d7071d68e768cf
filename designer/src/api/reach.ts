// Requests about what plugins may reach: connections, secrets, grants. Beside `client`, so that only their pages load it.
import { json, part, post, query } from './client';
import type { EffectClass } from './shapes';

export interface Connection {
  name: string;
  scheme: 'http' | 'https';
  host: string;
  port: number | null;
  methods: string[];
  pathPrefix: string;
  allowPrivate: boolean;
  headers: Record<string, string>;
  secrets: string[];
  ratePerSecond: number | null;
  concurrency: number | null;
  updatedAt: string;
  updatedBy: string;
}

export type ConnectionSpec = Omit<Connection, 'name' | 'updatedAt' | 'updatedBy'>;

export interface Secret {
  name: string;
  version: number;
  changedAt: string;
  changedBy: string;
  keyId: string;
  readable: boolean;
  usedBy: string[];
}

export interface Narrowed {
  methods?: string[];
  paths?: string[];
  ratePerSecond?: number;
  concurrency?: number;
}

export interface GrantSpec {
  connections: Record<string, Narrowed>;
  records: string[];
  memoryMiB?: number;
  timeMs?: number;
  reuse?: number;
}

export interface Grant extends GrantSpec {
  plugin: string;
  namespace: string;
  grantedAt: string;
  grantedBy: string;
}

export interface Reach {
  plugin: string;
  version: string;
  digest: string;
  namespace: string;
  effect: EffectClass;
  imports: { name: string; class: EffectClass | null }[];
  connections: {
    name: string;
    scheme: string;
    host: string;
    port: number | null;
    pathPrefix: string;
    allowPrivate: boolean;
    methods: string[];
    paths: string[];
    ratePerSecond: number | null;
    concurrency: number | null;
    secrets: { name: string; placeholder: string; ready: boolean }[];
    grantedBy: { plugin: string; namespace: string };
  }[];
  records: string[];
  memoryMiB: number;
  timeMs: number | null;
  reuse: number;
}

const place = (body: unknown) => ({ method: 'PUT', body });
const gone = { method: 'DELETE' };

export const reach = {
  connections: () => json<{ items: Connection[] }>('/connections'),
  putConnection: (name: string, spec: ConnectionSpec) => json<Connection>(`/connections/${part(name)}`, place(spec)),
  dropConnection: (name: string) => json<null>(`/connections/${part(name)}`, gone),
  tryConnection: (name: string, method: string, path: string) =>
    json<{ status: number | null; message: string; durationMs: number }>(
      `/connections/${part(name)}/probe`,
      post({ method, path }),
    ),
  secrets: () => json<{ items: Secret[]; keyId: string | null }>('/secrets'),
  putSecret: (name: string, value: string) => json<Secret>(`/secrets/${part(name)}`, place({ value })),
  dropSecret: (name: string) => json<null>(`/secrets/${part(name)}`, gone),
  grants: () => json<{ items: Grant[] }>('/grants'),
  putGrant: (plugin: string, namespace: string, spec: GrantSpec) =>
    json<null>(`/grants/${part(plugin)}${query({ namespace })}`, place(spec)),
  dropGrant: (plugin: string, namespace: string) => json<null>(`/grants/${part(plugin)}${query({ namespace })}`, gone),
  of: (plugin: string, version: string, namespace: string) =>
    json<Reach>(`/plugins/${part(plugin)}/${part(version)}/reach${query({ namespace })}`),
};
