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
