// Both languages fill the same blanks.
import { expect, it } from 'vitest';
import { catalogues, type Word } from './words';

const blanks = (text: string) =>
  [...text.matchAll(/\{(\w+)\}/g)]
    .map((found) => found[1])
    .sort()
    .join();

it.each(Object.keys(catalogues.en) as Word[])('%s fills the same blanks', (key) => {
  expect(catalogues['zh-CN'][key]).not.toBe('');
  expect(blanks(catalogues['zh-CN'][key])).toBe(blanks(catalogues.en[key]));
});
