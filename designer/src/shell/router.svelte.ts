// Path routing. A route is a pattern with `:name` parts and a lazily loaded page; the server answers every
// non-API path with index.html.
import type { Component } from 'svelte';

// biome-ignore lint/suspicious/noExplicitAny: pages take different props; the router passes params by name.
type Loader = () => Promise<{ default: Component<any> }>;

export interface Route {
  pattern: string;
  name: string;
  load: Loader;
  /** Full pages own the whole area beside the navigation; others scroll. */
  full?: boolean;
}

export interface Match {
  route: Route;
  params: Record<string, string>;
}

class Location {
  path = $state(window.location.pathname);
  search = $state(window.location.search);
  get params(): URLSearchParams {
    return new URLSearchParams(this.search);
  }
}

export const location = new Location();

function read(): void {
  location.path = window.location.pathname;
  location.search = window.location.search;
}

let guard: (() => boolean) | null = null;
/** A page with unsaved work may refuse to be left. */
export function guardLeave(ask: () => boolean): () => void {
  guard = ask;
  return () => {
    if (guard === ask) guard = null;
  };
}

export function go(to: string, options: { replace?: boolean } = {}): void {
  const leaves = new URL(to, window.location.href).pathname !== window.location.pathname;
  if (leaves && guard && !guard()) return;
  if (options.replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  read();
}

export function setQuery(values: Record<string, string | null>): void {
  const search = new URLSearchParams(window.location.search);
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === '') search.delete(key);
    else search.set(key, value);
  }
  const text = search.toString();
  history.replaceState(null, '', window.location.pathname + (text ? `?${text}` : ''));
  read();
}

/** Turns plain clicks on same-origin links into navigation. */
export function listen(): void {
  window.addEventListener('popstate', read);
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target || link.hasAttribute('download') || link.origin !== window.location.origin) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

export function match(routes: Route[], path: string): Match | null {
  const parts = path.split('/').filter(Boolean);
  for (const route of routes) {
    const want = route.pattern.split('/').filter(Boolean);
    if (want.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = want.every((segment, index) => {
      const given = parts[index] ?? '';
      if (!segment.startsWith(':')) return segment === given;
      params[segment.slice(1)] = decodeURIComponent(given);
      return true;
    });
    if (fits) return { route, params };
  }
  return null;
}
