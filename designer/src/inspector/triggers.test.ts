// What is kept when a trigger changes how it is asked, and what cron says.
import { expect, it } from 'vitest';
import { cronParts, type HttpTrigger, withAuth } from './triggers';

const signed = { type: 'hmac', connection: 'shop', secrets: ['HOOK'], header: 'X-Sig', signs: '{body}' } as const;

it.each<[HttpTrigger['auth'], string, unknown]>([
  ['token', 'none', 'none'],
  [signed as never, 'token', 'token'],
  // The secrets stay; what only the other way says does not.
  [signed as never, 'standard-webhooks', { type: 'standard-webhooks', connection: 'shop', secrets: ['HOOK'] }],
  ['none', 'hmac', { type: 'hmac', connection: '', secrets: [], header: 'X-Signature', prefix: 'sha256=' }],
])('%j becomes %s', (auth, kind, next) => {
  expect(withAuth({ type: 'http', path: 'p', auth }, kind).auth).toEqual(next);
});

it.each([
  ['0 9 * * 1-5', 'minute 0, hour 9, day *, month *, weekday 1-5'],
  ['30 0 9 * * *', 'second 30, minute 0, hour 9, day *, month *, weekday *'],
  ['0 9 * *', null],
  ['', null],
])('cron “%s” reads %s', (text, parts) => {
  expect(
    cronParts(text)
      ?.map((one) => `${one.field} ${one.text}`)
      .join(', ') ?? null,
  ).toBe(parts);
});
