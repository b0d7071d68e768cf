import { expect, test } from 'vitest';
import type { Role, RoleGiven } from '../api/shapes';
import { allows, namespaceOf, type Where } from './roles';

/** `pay=operator *=viewer` */
const roles = (text: string): RoleGiven[] =>
  text
    .split(' ')
    .filter(Boolean)
    .map((part) => {
      const [namespace = '', role = ''] = part.split('=');
      return { namespace, role: role as Role };
    });

test.each<[string, Role, Where, boolean]>([
  ['pay=operator', 'operator', { flow: 'pay.refund' }, true],
  ['pay=operator', 'viewer', { flow: 'pay.refund' }, true],
  ['pay=operator', 'designer', { flow: 'pay.refund' }, false],
  ['pay=operator', 'viewer', { flow: 'pay' }, false],
  ['default=viewer', 'viewer', { flow: 'pay' }, true],
  ['*=viewer pay=designer', 'designer', { flow: 'pay.refund' }, true],
  ['*=viewer pay=designer', 'designer', { flow: 'ship.box' }, false],
  ['pay=admin', 'admin', { everywhere: true }, false],
  ['pay=admin', 'admin', { anywhere: true }, true],
  ['*=admin', 'operator', { everywhere: true }, true],
  ['', 'viewer', { anywhere: true }, false],
])('%s: %s %o', (given, need, where, expected) => {
  expect(allows(roles(given), need, where)).toBe(expected);
});

test.each([
  ['pay.refund', 'pay'],
  ['pay.refund.late', 'pay'],
  ['pay', 'default'],
  ['.refund', 'default'],
  ['', 'default'],
])('%s belongs to %s', (key, namespace) => {
  expect(namespaceOf(key)).toBe(namespace);
});
