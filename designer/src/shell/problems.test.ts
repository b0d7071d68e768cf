// Every code the checker knows is told in every language but its own.
import { expect, it } from 'vitest';
import page from '../../../docs/problems.md?raw';
import zh from '../../messages/problems.zh-CN.json';
import { type ProblemWords, tell } from './problems';

const words = zh as unknown as ProblemWords;
const codes = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map((found) => found[1] as string);
const problem = (code: string, message: string, fix?: string) =>
  ({ severity: 'error', code, pointer: '', message, fix }) as const;

it('knows the same codes as docs/problems.md', () => {
  expect(codes.length).toBeGreaterThan(60);
  expect(Object.keys(words.codes).sort()).toEqual(codes.toSorted());
});

// What the checker advises, as its source has it; what is put together while it runs is left out.
const sources = import.meta.glob('../../../engine/core/src/{flow,bind}/**/*.rs', {
  query: '?raw',
  import: 'default',
  eager: true,
}) as Record<string, string>;
const advice = Object.entries(sources)
  .filter(([path]) => !path.includes('/tests'))
  .flatMap(([, text]) => [...text.matchAll(/\.fix\(\s*"((?:[^"\\]|\\.)*)"/g)])
  .map((found) => (found[1] as string).replaceAll('\\"', '"'));

it('finds what the checker advises', () => expect(advice.length).toBeGreaterThan(80));
it.each([...new Set(advice)])('tells “%s” wholly in Chinese', (given) => {
  const { fix } = tell(problem('NEW_CODE', 'x', given), words);
  expect(fix).toMatch(/[\u4e00-\u9fff]/);
  // Names of fields stay; an English sentence does not.
  expect(fix).not.toMatch(/`|\b(a|an|the|and|or|it|of|to|one)\b/);
});

it.each([
  [problem('INPUT_MISSING', '`sku` is required', 'add `sku`'), '缺少必需的 sku。', '添加 sku'],
  [problem('CONFIG_MISMATCH', '7 is not of type string'), '7 的类型不是 string。', null],
  [problem('DEAD_END', 'nothing comes after `wait`', 'a new remedy'), 'wait 之后没有任何步骤。', 'a new remedy'],
  [problem('UNREACHABLE', 'quotes no name'), 'quotes no name', null],
  [problem('NEW_CODE', 'something new'), 'something new', null],
])('tells %j', (given, text, fix) => {
  expect(tell(given, words)).toEqual({ text, fix });
  expect(tell(given, null)).toEqual({ text: given.message, fix: given.fix ?? null });
});
