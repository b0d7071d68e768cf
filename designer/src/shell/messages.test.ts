// Every language says everything, with the same blanks to fill.
import { describe, expect, it } from 'vitest';
import en from '../../messages/en.json';
import importEn from '../../messages/import.en.json';
import importZh from '../../messages/import.zh-CN.json';
import machinesEn from '../../messages/machines.en.json';
import machinesZh from '../../messages/machines.zh-CN.json';
import peopleEn from '../../messages/people.en.json';
import peopleZh from '../../messages/people.zh-CN.json';
import pluginsEn from '../../messages/plugins.en.json';
import pluginsZh from '../../messages/plugins.zh-CN.json';
import refusalsEn from '../../messages/refusals.en.json';
import refusalsZh from '../../messages/refusals.zh-CN.json';
import tablesEn from '../../messages/tables.en.json';
import tablesZh from '../../messages/tables.zh-CN.json';
import zh from '../../messages/zh-CN.json';

const blanks = (text: string) =>
  [...text.matchAll(/\{(\w+)\}/g)]
    .map((found) => found[1])
    .sort()
    .join();

const CATALOGUES: [string, Record<string, string>, Record<string, string>][] = [
  ['all pages', en, zh],
  ['the pages of people', peopleEn, peopleZh],
  ['the plugins page', pluginsEn, pluginsZh],
  ['tables and templates', tablesEn, tablesZh],
  ['the import of BPMN', importEn, importZh],
  ['the pages of machines', machinesEn, machinesZh],
  ['refusals', refusalsEn, refusalsZh],
];

describe.each(CATALOGUES)('%s', (_, first, second) => {
  it('has the same keys in both languages', () => {
    expect(Object.keys(second).sort()).toEqual(Object.keys(first).sort());
  });

  it.each(Object.entries(first))('%s fills the same blanks', (key, text) => {
    expect(blanks(second[key] ?? '')).toBe(blanks(text));
  });
});
