// What somebody's roles allow. The engine decides; this only says beforehand what it would refuse, so that the console
// does not offer it.
import { ROLES, type Role, type RoleGiven } from '../api/shapes';

export const EVERYWHERE = '*';
const rank = (role: Role): number => ROLES.indexOf(role);

/** As `namespace` in the engine's core says it: the part of a flow's key before the first dot. */
export function namespaceOf(key: string): string {
  const dot = key.indexOf('.');
  return dot > 0 ? key.slice(0, dot) : 'default';
}

/** Where a role is needed: everywhere, in any namespace, or in that of a flow. */
export type Where = { everywhere: true } | { anywhere: true } | { flow: string };

export function allows(roles: RoleGiven[], need: Role, where: Where): boolean {
  const counts = (namespace: string): boolean => {
    if (namespace === EVERYWHERE || 'anywhere' in where) return true;
    return 'flow' in where && namespace === namespaceOf(where.flow);
  };
  return roles.some((given) => counts(given.namespace) && rank(given.role) >= rank(need));
}
