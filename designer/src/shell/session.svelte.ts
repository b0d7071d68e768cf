// Who is signed in, and what they may do. The token of a link is taken out of the address bar at once.
import { ApiError, api, onUnauthorized } from '../api/client';
import type { Role, Session } from '../api/shapes';
import { t } from './i18n.svelte';
import { allows, namespaceOf, type Where } from './roles';

/** `setup`: the first administrator is to be made. `change`: a password of one's own must be chosen. */
type Phase = 'starting' | 'out' | 'in' | 'unreachable' | 'setup' | 'change';

let session = $state.raw<Session | null>(null);
let phase = $state<Phase>('starting');
let link = $state('');

export const who = (): Session | null => session;
export const sessionPhase = (): Phase => phase;
export const setupLink = (): string => link;

export const may = (role: Role, where: Where): boolean => allows(session?.roles ?? [], role, where);

/** Why something is not offered; undefined where it is. */
export function lacks(role: Role, where: Where): string | undefined {
  if (may(role, where)) return undefined;
  const name = t(`role.${role}`);
  return 'flow' in where
    ? t('role.neededIn', { role: name, namespace: namespaceOf(where.flow) })
    : t('anywhere' in where ? 'role.needed' : 'role.neededEverywhere', { role: name });
}

/** Goes on as this session. */
export function enter(next: Session): void {
  session = next;
  phase = next.mustChange ? 'change' : 'in';
}

export async function signOut(): Promise<void> {
  await api.logout().catch(() => {});
  session = null;
  phase = 'out';
}

/** Resumes a session, or does what the link in the address is for. Never throws: the phase says what happened. */
export async function startSession(): Promise<void> {
  phase = 'starting';
  const url = new URL(window.location.href);
  const token = url.searchParams.get('token');
  link = url.searchParams.get('setup') ?? link;
  url.searchParams.delete('token');
  url.searchParams.delete('setup');
  if (url.href !== window.location.href) history.replaceState(null, '', url.pathname + url.search);
  try {
    if (link && !(await api.setup()).administered) phase = 'setup';
    else enter(token ? await api.login({ token }) : await api.session());
  } catch (error) {
    phase = error instanceof ApiError && error.status !== 0 && error.status < 500 ? 'out' : 'unreachable';
  }
  onUnauthorized(() => {
    if (phase === 'in') {
      session = null;
      phase = 'out';
    }
  });
}
