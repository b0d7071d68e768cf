import { expect, it } from 'vitest';
import { bound, headersOf, headersText, listed, names } from './forms';

it.each([
  ['', []],
  [' GET , POST', ['GET', 'POST']],
  ['a，b c\n', ['a', 'b', 'c']],
])('%j is a list', (text, parts) => expect(listed(text)).toEqual(parts));

it.each([
  ['', undefined],
  ['12', 12],
  ['0', Number.NaN],
  ['1.5', Number.NaN],
  ['many', Number.NaN],
])('%j is a bound', (text, value) => expect(bound(text)).toEqual(value));

it('reads headers as they are written', () => {
  const headers = { Authorization: 'Bearer $secret:T', 'X-Time': '12:30' };
  expect(headersOf(headersText(headers))).toEqual(headers);
  expect(headersOf('no header\n: none\n\n')).toEqual({});
});

it.each([
  ['shop', true],
  ['shop@1', true],
  ['shop@1.2', true],
  ['shop@1.2.0', true],
  ['sha256:ab', true],
  ['shop@2', false],
  ['shopping', false],
])('%s names the build: %s', (granted, is) => expect(names(granted, 'shop', '1.2.0', 'ab')).toBe(is));
