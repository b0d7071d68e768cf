// What the pages of tables and templates say, and what only they ask of the engine: apart, so that other pages do not
// carry it. As in `shell/i18n`, `{name}` is filled from the params.
import en from '../../../messages/tables.en.json';
import zh from '../../../messages/tables.zh-CN.json';
import { json, part, post } from '../../api/client';
import type { Json, Text } from '../../api/shapes';
import { currentLocale } from '../../shell/i18n.svelte';

type Key = keyof typeof en;

export function w(key: Key, params: Record<string, string | number> = {}): string {
  const words: Record<string, string> = currentLocale() === 'en' ? en : zh;
  return (words[key] ?? en[key]).replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

export interface TableItem {
  key: string;
  title: Text;
  version: number;
  rules: number;
  publishedAt: string;
  publishedBy: string;
}

export interface Column {
  id: string;
  name?: string;
  field?: string;
}

export interface TableDocument {
  title?: Text;
  summary?: Text;
  table?: { hitPolicy?: string; inputs?: Column[]; outputs?: Column[]; rules?: Record<string, unknown>[] };
}

export interface TableDetail {
  key: string;
  version: number;
  document: TableDocument;
  publishedAt: string;
  publishedBy: string;
  versions: number[];
}

export interface Answer {
  output: Json;
  hits: number[];
  version: number | null;
}

const at = (key: string) => `/tables/${part(key)}`;

export const tables = {
  list: () => json<{ items: TableItem[] }>('/tables'),
  show: (key: string, version: number | null) =>
    json<TableDetail>(version === null ? at(key) : `${at(key)}/versions/${version}`),
  publish: (key: string, document: unknown) =>
    json<{ version: number }>(at(key), { method: 'PUT', body: { document } }),
  evaluate: (key: string, body: { input: unknown; version?: number }) =>
    json<Answer>(`${at(key)}/evaluate`, post(body)),
  used: (key: string) =>
    json<{ routes: string[]; calledBy: { flow: string; version: number }[] }>(`${at(key)}/where-used`),
};
