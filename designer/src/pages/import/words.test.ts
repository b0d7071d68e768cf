// Whatever the engine remarks on a file of BPMN is told in every language but its own.
import { expect, it } from 'vitest';
import remarks from '../../../messages/remarks.zh-CN.json';
import { type ProblemWords, tell } from '../../shell/problems';

const sources = import.meta.glob('../../../../engine/core/src/bpmn/*.rs', {
  query: '?raw',
  import: 'default',
  eager: true,
}) as Record<string, string>;
const text = Object.entries(sources)
  .filter(([path]) => !path.endsWith('tests.rs'))
  .map(([, source]) => source)
  .join('\n');
const literals = (pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map((found) => found[1] as string))];
const said = literals(/leave(?:_xml)?\(\s*\w+(?:\.xml)?,\s*(?:format!\(\s*)?"((?:[^"\\]|\\.)*)"/g);
const named = literals(/let message = format!\("([^"]*)"\)/g);
const reasons = literals(/Err\((?:format!\()?"([^"]*)"/g);
const fixes = literals(/(?:Some\(|let fix = |const STANDS: &str = )"([a-z][^"]*)"/g).filter((one) => one.includes(' '));
const filled = (one: string) => one.replace(/\{[^}]*\}/g, '7');
const words = remarks as unknown as ProblemWords;

it('finds what is remarked', () =>
  expect([said.length > 20, named.length > 1, reasons.length > 3, fixes.length > 20]).toEqual([
    true,
    true,
    true,
    true,
  ]));
it.each([...said, ...named, ...reasons])('tells “%s” in Chinese', (one) => {
  const { text: told } = tell({ severity: 'warning', code: '', pointer: '', message: filled(one) }, words);
  expect(told).toMatch(/[\u4e00-\u9fff]/);
});
it.each(fixes)('tells the remedy “%s” in Chinese', (one) => {
  const { fix } = tell({ severity: 'warning', code: '', pointer: '', message: 'x', fix: one }, words);
  expect(fix).toMatch(/[\u4e00-\u9fff]/);
});
