// The stand-in's rules for versions and paths: kept with a revision, asked by key alone. Expressions are the real
// engine's to evaluate.
import { refuse } from './mock.mjs';

const now = () => new Date().toISOString();

/** Rules of one kind by name; refuses a write over what its writer has not seen. */
class Kept {
  #rules = new Map();

  constructor(what) {
    this.what = what;
  }

  all() {
    return [...this.#rules].map(([path, kept]) => ({ path, ...kept }));
  }

  has(name) {
    return this.#rules.has(name);
  }

  get(name) {
    const found = this.#rules.get(name);
    if (!found) throw refuse(404, `${this.what.toUpperCase()}_NOT_FOUND`, 'There are no rules');
    return found;
  }

  put(name, rules, match) {
    const current = this.#rules.get(name);
    if ((current?.revision ?? null) !== match)
      throw refuse(409, `${this.what.toUpperCase()}_CONFLICT`, 'Someone else saved in between', { current });
    const revision = String(Number(current?.revision ?? 0) + 1);
    const saved = { [this.what]: rules, revision, updatedAt: now(), updatedBy: 'admin' };
    this.#rules.set(name, saved);
    return { revision, updatedAt: saved.updatedAt, problems: [] };
  }

  drop(name) {
    this.get(name);
    this.#rules.delete(name);
  }
}

export const bindings = () => new Kept('binding');
export const routes = () => new Kept('route');

const number = (versions, name) =>
  typeof name === 'number' ? name : versions.findLast((one) => one.label === name)?.version;

/** What each start would get. */
export function foresee(versions, rules, items) {
  return items.map(({ businessKey = null }) => {
    const hit = (rules.rules ?? []).find(
      (rule) =>
        rule.enabled !== false &&
        businessKey !== null &&
        (rule.keys?.includes(businessKey) || rule.prefixes?.some((prefix) => businessKey.startsWith(prefix))),
    );
    const share = hit ? undefined : rules.split?.variants[0];
    const [by, name] = hit
      ? [`rule/${hit.name}`, hit.version]
      : share
        ? [`split/${share.name}`, share.version]
        : rules.default === undefined
          ? ['newest', versions.at(-1)?.version]
          : ['default', rules.default];
    return { businessKey, version: number(versions, name) ?? null, by, byChance: false, skipped: [] };
  });
}

/** How starts fared, from the counts of each version. */
export function figures(versions) {
  const of = ({ version, label, counts }) => {
    const get = (state) => counts[state] ?? 0;
    const ended = { completed: get('completed'), failed: get('failed'), compensated: get('compensated') };
    const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
    const over = ended.completed + ended.failed + ended.compensated + get('cancelled');
    const fared = { ...ended, cancelled: get('cancelled'), started: all, live: all - over, incidents: get('incident') };
    return { version, label, ...fared };
  };
  const all = versions.map(of);
  return { versions: all, items: all.slice(0, 1).map(({ label: _, ...one }) => ({ by: 'split/a', ...one })) };
}
