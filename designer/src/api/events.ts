// The event feed: one EventSource for the whole console. The browser resumes it with Last-Event-ID by itself; `reset`
// tells subscribers that the cursor was too old and they must read their state again.
import type { FeedEvent } from './shapes';

type Listener = (event: FeedEvent) => void;
type FeedState = 'off' | 'open' | 'lost';

const NAMES = ['instance', 'flow', 'plugin', 'upload', 'reset'] as const;
const listeners = new Set<Listener>();
const stateListeners = new Set<(state: FeedState) => void>();
let source: EventSource | null = null;
let state: FeedState = 'off';
let wasLost = false;

function setState(next: FeedState): void {
  if (state === next) return;
  state = next;
  for (const listener of stateListeners) listener(next);
}

function emit(event: FeedEvent): void {
  for (const listener of [...listeners]) listener(event);
}

function open(): void {
  if (source) return;
  source = new EventSource('/api/v1/events');
  source.onopen = () => {
    setState('open');
    // Between two connections to different engines the cursor may not match: read again to be sure.
    if (wasLost) emit({ name: 'reset', data: null });
    wasLost = false;
  };
  source.onerror = () => {
    wasLost = true;
    setState('lost');
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(() => listeners.size > 0 && open(), 3000);
    }
  };
  for (const name of NAMES) {
    source.addEventListener(name, (message) => {
      const text = (message as MessageEvent<string>).data;
      try {
        emit({ name, data: text ? JSON.parse(text) : null } as FeedEvent);
      } catch {
        emit({ name: 'reset', data: null });
      }
    });
  }
}

/** Listens until the returned function is called. The feed closes with its last listener. */
export function subscribe(listener: Listener): () => void {
  listeners.add(listener);
  open();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      source?.close();
      source = null;
      wasLost = false;
      setState('off');
    }
  };
}

export function onFeedState(listener: (state: FeedState) => void): () => void {
  stateListeners.add(listener);
  listener(state);
  return () => stateListeners.delete(listener);
}
