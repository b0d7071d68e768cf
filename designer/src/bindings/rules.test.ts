import { expect, it } from 'vitest';
import { chosen, compact, fresh, lines, list, moved, option, options, shares } from './rules';

it.each([
  ['', []],
  ['a', ['a']],
  ['a\n b ,c,,\n', ['a', 'b', 'c']],
])('reads %j', (text, entries) => {
  expect(list(text)).toEqual(entries);
  expect(list(lines(entries))).toEqual(entries);
});

it.each([[undefined], [3], ['3'], ['1.0.0'], ['#3'], ['']])('keeps %j apart', (name) => {
  expect(chosen(option(name))).toBe(name);
});

it('offers versions, labels once, and what is set', () => {
  const version = (n: number, label?: string, retiredAt?: string) => ({
    version: n,
    label,
    hash: '',
    publishedAt: '',
    retiredAt,
  });
  const all = [version(3, 'stable'), version(2, 'stable'), version(1, undefined, '2026-01-01T00:00:00Z')];
  const values = (set?: number | string) => options(all, set).map((one) => one.value);
  expect(values()).toEqual(['#3', '#2', '"stable']);
  expect(values(3)).toEqual(['#3', '#2', '"stable']);
  expect(values(1)).toEqual(['#3', '#2', '"stable', '#1']);
  expect(values('beta')).toEqual(['#3', '#2', '"stable', '"beta']);
});

it('says nothing that goes without saying', () => {
  const rules = {
    rules: [{ name: 'r', keys: ['k'], version: 1 }],
    split: { variants: [{ name: 'a', version: 1, weight: 1 }] },
  };
  const filled = {
    rules: [{ name: 'r', enabled: true, keys: ['k'], prefixes: [], when: ' ', version: 1 }],
    split: { enabled: true, salt: '', variants: [{ name: 'a', enabled: true, version: 1, weight: 1 }] },
    off: [],
  };
  expect(compact(filled)).toEqual(rules);
  expect(compact(rules)).toEqual(rules);
  const off = { rules: [{ name: 'r', enabled: false, when: 'true', version: '1' }], fallback: 2, off: [3] };
  expect(compact(off)).toEqual(off);
});

it('names, moves and shares', () => {
  expect(fresh('rule', [])).toBe('rule-1');
  expect(fresh('rule', ['rule-2'])).toBe('rule-3');
  expect(moved(['a', 'b', 'c'], 2, -1)).toEqual(['a', 'c', 'b']);
  expect(moved(['a', 'b'], 1, 1)).toEqual(['a', 'b']);
  expect(shares([90, 10])).toEqual([90, 10]);
  expect(shares([0, 0])).toEqual([0, 0]);
});
