// Languages. One flat catalogue per language, loaded on demand; keys are typed from the English one, and a unit test
// keeps the catalogues in step. What only the pages of people say (signing in, users, tokens, the audit) is loaded with
// them, and how refusals are told right after the rest. `{name}` in a message is filled from params; a key with `.one`
// and `.other` forms is picked by the `n` param.
import type en from '../../messages/en.json';
import type people from '../../messages/people.en.json';
import type refusals from '../../messages/refusals.en.json';
import type { Text } from '../api/shapes';
import type { ProblemWords } from './problems';

export const LOCALES = ['en', 'zh-CN'] as const;
export type Locale = (typeof LOCALES)[number];
type Catalogue = typeof en & typeof people & typeof refusals;
type Key = keyof Catalogue;
type Stem<K extends string> = K extends `${infer S}.other` ? S : never;
export type MessageKey = Key | Stem<Key>;
type Params = Record<string, string | number>;

const STORED = 'stepwell.locale';
let locale = $state<Locale>('en');
let catalogue = $state.raw<Partial<Record<string, string>>>({});
let problems = $state.raw<ProblemWords | null>(null);
let plural = new Intl.PluralRules('en');

export function currentLocale(): Locale {
  return locale;
}

function preferred(): Locale {
  const stored = localStorage.getItem(STORED);
  if (stored === 'en' || stored === 'zh-CN') return stored;
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith('zh')) &&
    !navigator.language.toLowerCase().startsWith('en')
    ? 'zh-CN'
    : 'en';
}

/** How the checker's problems are told in this language; null where its own words are. */
export const wordsOfProblems = (): ProblemWords | null => problems;

let aboutPeople = false;
const ofPeople = async (of: Locale): Promise<Partial<Record<string, string>>> =>
  (of === 'en' ? await import('../../messages/people.en.json') : await import('../../messages/people.zh-CN.json'))
    .default;

/** A page that says what only the pages of people say, once there are words for it. */
export async function withPeople<T>(page: () => Promise<T>): Promise<T> {
  const [loaded, words] = await Promise.all([page(), ofPeople(locale)]);
  aboutPeople = true;
  catalogue = { ...catalogue, ...words };
  return loaded;
}

/** Nothing is refused before the first page stands; until then a refusal is told in the engine's own words. */
async function addRefusals(of: Locale): Promise<void> {
  const words =
    of === 'en' ? await import('../../messages/refusals.en.json') : await import('../../messages/refusals.zh-CN.json');
  if (locale === of) catalogue = { ...catalogue, ...words.default };
}

async function load(next: Locale): Promise<void> {
  const loaded = next === 'en' ? await import('../../messages/en.json') : await import('../../messages/zh-CN.json');
  problems =
    next === 'en' ? null : ((await import('../../messages/problems.zh-CN.json')).default as unknown as ProblemWords);
  catalogue = { ...loaded.default, ...(aboutPeople ? await ofPeople(next) : {}) };
  plural = new Intl.PluralRules(next);
  locale = next;
  document.documentElement.lang = next;
  addRefusals(next).catch(() => {});
}

export const initLocale = (): Promise<void> => load(preferred());

export async function setLocale(next: Locale): Promise<void> {
  localStorage.setItem(STORED, next);
  await load(next);
}

export function t(key: MessageKey, params?: Params): string {
  let text = catalogue[key];
  if (text === undefined && params && typeof params.n === 'number') {
    text = catalogue[`${key}.${plural.select(params.n)}`] ?? catalogue[`${key}.other`];
  }
  if (text === undefined) return key;
  if (!params) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

/** Whether the catalogue has this key: for names that come from the server, such as journal types. */
export function maybe(key: string, fallback: string): string {
  return catalogue[key] ?? fallback;
}

/** A text written by a person, in the language of the reader or the nearest there is. */
export function text(value: Text | undefined | null, fallback = ''): string {
  if (value === undefined || value === null) return fallback;
  if (typeof value === 'string') return value || fallback;
  return value[locale] || value.en || Object.values(value).find((one) => one) || fallback;
}

export function ago(iso: string | null | undefined, now = Date.now()): string {
  if (!iso) return '';
  const seconds = Math.round((new Date(iso).getTime() - now) / 1000);
  const format = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' });
  const steps: [number, Intl.RelativeTimeFormatUnit][] = [
    [60, 'second'],
    [3600, 'minute'],
    [86400, 'hour'],
    [86400 * 30, 'day'],
    [86400 * 365, 'month'],
  ];
  const size = Math.abs(seconds);
  if (size < 10) return t('time.now');
  let divisor = 1;
  for (const [limit, unit] of steps) {
    if (size < limit) return format.format(Math.trunc(seconds / divisor), unit);
    divisor = limit;
  }
  return format.format(Math.trunc(seconds / (86400 * 365)), 'year');
}

export function dateTime(iso: string | null | undefined): string {
  if (!iso) return '';
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(iso));
}

/** A time as a clock of that zone shows it; an unknown zone shows the reader's own. */
export function dateTimeIn(iso: string, timeZone: string): string {
  const style = { weekday: 'short', year: 'numeric', month: 'short', day: 'numeric' } as const;
  const format = (zone?: string) =>
    new Intl.DateTimeFormat(locale, { ...style, hour: '2-digit', minute: '2-digit', timeZone: zone });
  try {
    return format(timeZone).format(new Date(iso));
  } catch {
    return format().format(new Date(iso));
  }
}

export function clock(iso: string): string {
  const date = new Date(iso);
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false }).format(date)}.${ms}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

export function count(n: number): string {
  return new Intl.NumberFormat(locale, { notation: n >= 10_000 ? 'compact' : 'standard' }).format(n);
}

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${Math.round(n / 1024)} kB`;
  return `${(n / 1024 / 1024).toFixed(1)} MB`;
}
