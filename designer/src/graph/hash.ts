// Whether two documents are the same. Key order does not count. `meaning` leaves the layout out, as the engine's own
// hash does; `whole` includes it, because a moved box is worth saving though it is not worth a new version.
import type { Graph } from './document';

/** JSON with sorted keys; undefined fields vanish, as they do when sent. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** FNV-1a over the text, forwards and backwards: 64 bits, plenty for "did this change". */
export function fingerprint(text: string): string {
  let forward = 0x811c9dc5;
  let backward = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    forward = Math.imul(forward ^ text.charCodeAt(index), 0x01000193);
    backward = Math.imul(backward ^ text.charCodeAt(text.length - 1 - index), 0x01000193);
  }
  return (forward >>> 0).toString(16).padStart(8, '0') + (backward >>> 0).toString(16).padStart(8, '0');
}

export const whole = (graph: Graph): string => fingerprint(canonical(graph));

export function meaning(graph: Graph): string {
  const { layout: _, ...rest } = graph;
  return fingerprint(canonical(rest));
}
