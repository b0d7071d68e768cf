// Who is signed in. The token of a login link is spent at once and removed from the address bar.
import { ApiError, api, onUnauthorized } from '../api/client';
import type { Session } from '../api/shapes';

let session = $state.raw<Session | null>(null);
let phase = $state<'starting' | 'out' | 'in' | 'unreachable'>('starting');

export const who = (): Session | null => session;
export const sessionPhase = () => phase;
export const may = (role: string): boolean =>
  session === null || session.roles.includes('admin') || session.roles.includes(role);

export async function signIn(token: string): Promise<void> {
  const answer = await api.login(token);
  session = answer && 'user' in answer ? answer : await api.session();
  phase = 'in';
}

export async function signOut(): Promise<void> {
  await api.logout().catch(() => {});
  session = null;
  phase = 'out';
}

/** Resumes a session or spends `?token=`. Never throws: the phase says what happened. */
export async function startSession(): Promise<void> {
  phase = 'starting';
  const url = new URL(window.location.href);
  const token = url.searchParams.get('token');
  if (token !== null) {
    url.searchParams.delete('token');
    history.replaceState(null, '', url.pathname + url.search);
  }
  try {
    if (token) await signIn(token);
    else {
      session = await api.session();
      phase = 'in';
    }
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
