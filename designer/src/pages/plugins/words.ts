// What the plugins page says: a catalogue of its own, so that other pages do not carry it. As in `shell/i18n`, `{name}`
// is filled from the params.
import en from '../../../messages/plugins.en.json';
import zh from '../../../messages/plugins.zh-CN.json';
import { currentLocale } from '../../shell/i18n.svelte';

type Key = keyof typeof en;

export function w(key: Key, params: Record<string, string | number> = {}): string {
  const words: Record<string, string> = currentLocale() === 'en' ? en : zh;
  return (words[key] ?? en[key]).replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

/** For names that come from the server. */
export function named(prefix: string, name: string): string {
  const key = `${prefix}.${name}`;
  return key in en ? w(key as Key) : name;
}
