// Short notes at the bottom of the window. Errors stay until closed; the rest leave by themselves.
import { ApiError } from '../api/client';
import { announce } from './commands.svelte';
import { maybe, t } from './i18n.svelte';

export interface Toast {
  id: number;
  tone: 'good' | 'bad' | 'plain';
  text: string;
  detail?: string;
  /** `outside` the console: it opens beside it. */
  link?: { href: string; text: string; outside?: boolean };
}

let toasts = $state.raw<Toast[]>([]);
let next = 1;
const STAY_MS = 5000;

export const shownToasts = (): Toast[] => toasts;

export function toast(entry: Omit<Toast, 'id'>): void {
  const id = next++;
  toasts = [...toasts.slice(-3), { ...entry, id }];
  announce(entry.detail ? `${entry.text}. ${entry.detail}` : entry.text);
  if (entry.tone !== 'bad') setTimeout(() => dismiss(id), STAY_MS);
}

export function dismiss(id: number): void {
  toasts = toasts.filter((entry) => entry.id !== id);
}

/** What to tell a person about a failed request: the code's own sentence if we have one, else the server's. */
export function say(error: unknown): string {
  if (error instanceof ApiError) return maybe(`error.${error.code}`, error.message || error.code);
  return error instanceof Error ? error.message : String(error);
}

/** What to do about a refusal, where the catalogue knows. */
export const remedy = (error: unknown): string => (error instanceof ApiError ? maybe(`remedy.${error.code}`, '') : '');

/** Where the engine explains a refusal's code. */
export const explanation = (error: unknown): string | null =>
  error instanceof ApiError && error.body.type?.startsWith('/docs') ? error.body.type : null;

export function complain(text: string, error: unknown): void {
  const href = explanation(error);
  const detail = [say(error), remedy(error)].filter(Boolean).join(' ');
  toast({ tone: 'bad', text, detail, ...(href ? { link: { href, text: t('refused.more'), outside: true } } : {}) });
}
