// Catalogues of single pages, loaded with them, so that other pages do not carry them. As in `i18n`, `{name}` is filled
// from the params.
import { currentLocale } from './i18n.svelte';

type Words = Record<string, string>;

/** What a page says, by key, in the reader's language. */
export function wordsOf<C extends Words>(en: C, zh: Words) {
  const w = (key: keyof C & string, params: Record<string, string | number> = {}): string => {
    const words: Words = currentLocale() === 'en' ? en : zh;
    return (words[key] ?? en[key] ?? key).replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
  };
  /** For names that come from the server. */
  const named = (prefix: string, name: string): string => {
    const key = `${prefix}.${name}`;
    return key in en ? w(key) : name;
  };
  return { w, named };
}
