// Rules as forms edit them: texts where the document has lists, a choice where it has a number or a label. Pure.
import type { BindingRules, VersionName, VersionSummary } from '../api/shapes';

/** One entry per line or comma; blanks fall away. */
export function list(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

export const lines = (entries: string[] | undefined): string => (entries ?? []).join('\n');

/** The value of an option: a label and a number may look alike. */
export const option = (name: VersionName | undefined): string =>
  name === undefined ? '' : typeof name === 'number' ? `#${name}` : `"${name}`;

export function chosen(value: string): VersionName | undefined {
  if (value === '') return undefined;
  return value.startsWith('#') ? Number(value.slice(1)) : value.slice(1);
}

/** What can be chosen: each version by its number, each label once. What is set already stays, though it be gone. */
export function options(
  versions: VersionSummary[],
  set: VersionName | undefined,
): { value: string; version: number | null; label: string | null }[] {
  const there = versions.filter((one) => !one.retiredAt);
  const labels = [...new Set(there.map((one) => one.label).filter((label): label is string => !!label))];
  const all = [
    ...there.map((one) => ({ value: option(one.version), version: one.version, label: one.label ?? null })),
    ...labels.map((label) => ({ value: option(label), version: null, label })),
  ];
  const gone = set !== undefined && !all.some((one) => one.value === option(set));
  return gone
    ? [
        ...all,
        {
          value: option(set),
          version: typeof set === 'number' ? set : null,
          label: typeof set === 'string' ? set : null,
        },
      ]
    : all;
}

/** A name that no other entry has. */
export function fresh(stem: string, taken: string[]): string {
  for (let n = taken.length + 1; ; n += 1) if (!taken.includes(`${stem}-${n}`)) return `${stem}-${n}`;
}

/** The share of each weight, in percent. */
export function shares(weights: number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + Math.max(weight, 0), 0);
  return weights.map((weight) => (total > 0 && weight > 0 ? (100 * weight) / total : 0));
}

/** Without what says nothing, so that an untouched form gives the document it was made from. */
export function compact(rules: BindingRules): BindingRules {
  const on = <T extends { enabled?: boolean }>({ enabled, ...rest }: T) =>
    enabled === false ? { ...rest, enabled } : rest;
  const out: BindingRules = {};
  if (rules.rules?.length) {
    out.rules = rules.rules.map((rule) => {
      const { keys, prefixes, when, ...rest } = on(rule);
      return {
        ...rest,
        ...(keys?.length ? { keys } : {}),
        ...(prefixes?.length ? { prefixes } : {}),
        ...(when?.trim() ? { when } : {}),
      } as NonNullable<BindingRules['rules']>[number];
    });
  }
  if (rules.split) {
    const { salt, variants, ...rest } = on(rules.split);
    out.split = {
      ...rest,
      ...(salt ? { salt } : {}),
      variants: variants.map((one) => on(one)),
    } as BindingRules['split'];
  }
  if (rules.default !== undefined) out.default = rules.default;
  if (rules.fallback !== undefined) out.fallback = rules.fallback;
  if (rules.off?.length) out.off = rules.off;
  return out;
}

/** An entry of a list, one place up or down. */
export function moved<T>(entries: T[], at: number, by: -1 | 1): T[] {
  const to = at + by;
  if (to < 0 || to >= entries.length) return entries;
  const copy = [...entries];
  const [one] = copy.splice(at, 1);
  if (one !== undefined) copy.splice(to, 0, one);
  return copy;
}
