// How lists, headers and bounds are written in a form, and read from it.

export const listed = (text: string): string[] =>
  text
    .split(/[\s,，]+/)
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** `Name: value` in each line. */
export function headersOf(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const at = line.indexOf(':');
    const name = line.slice(0, at).trim();
    if (at > 0 && name !== '') headers[name] = line.slice(at + 1).trim();
  }
  return headers;
}

export const headersText = (headers: Record<string, string>): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');

/** A whole number above zero, nothing, or `NaN` for what is neither. */
export function bound(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  return /^[1-9]\d*$/.test(trimmed) ? Number(trimmed) : Number.NaN;
}

/** Whether a grant's name for builds is of this plugin's version; the engine decides, this finds what to show. */
export function names(granted: string, plugin: string, version: string, digest: string): boolean {
  if (granted === `sha256:${digest}` || granted === digest) return true;
  const [name, range] = granted.split('@');
  return name === plugin && (range === undefined || range === version || version.startsWith(`${range}.`));
}
