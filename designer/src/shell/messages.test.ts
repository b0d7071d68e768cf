// Every language says everything, with the same blanks to fill.
import { expect, it } from 'vitest';
import commonEn from '../../messages/en.json';
import peopleEn from '../../messages/people.en.json';
import peopleZh from '../../messages/people.zh-CN.json';
import commonZh from '../../messages/zh-CN.json';

const en = { ...commonEn, ...peopleEn };
const zh = { ...commonZh, ...peopleZh };

const blanks = (text: string) =>
  [...text.matchAll(/\{(\w+)\}/g)]
    .map((found) => found[1])
    .sort()
    .join();

it('has the same keys in both languages', () => {
  expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
});

it.each(Object.entries(en))('%s fills the same blanks', (key, text) => {
  expect(blanks((zh as Record<string, string>)[key] ?? '')).toBe(blanks(text));
});
