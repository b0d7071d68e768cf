// A plugin's icon is text from a stranger. Only plain shapes and their geometry are taken over; everything else,
// scripts, styles, references and events, is left behind.

export interface Shape {
  tag: string;
  attributes: Record<string, string>;
  children: Shape[];
}

export interface Drawing {
  viewBox: string;
  filled: boolean;
  shapes: Shape[];
}

const TAGS = new Set(['path', 'circle', 'rect', 'line', 'polyline', 'polygon', 'ellipse', 'g']);
const ATTRIBUTES = new Set([
  'd',
  'cx',
  'cy',
  'r',
  'rx',
  'ry',
  'x',
  'y',
  'x1',
  'y1',
  'x2',
  'y2',
  'width',
  'height',
  'points',
  'transform',
  'opacity',
  'stroke-width',
  'stroke-linecap',
  'stroke-linejoin',
  'fill-rule',
  'clip-rule',
]);
const LENGTH_MAX = 16_384;
const SHAPES_MAX = 60;
const cache = new Map<string, Drawing | null>();

export function readIcon(text: string | undefined): Drawing | null {
  if (!text || text.length > LENGTH_MAX) return null;
  const known = cache.get(text);
  if (known !== undefined) return known;
  const drawing = parse(text);
  cache.set(text, drawing);
  return drawing;
}

function parse(text: string): Drawing | null {
  const root = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
  if (root.tagName !== 'svg') return null;
  let left = SHAPES_MAX;
  const take = (parent: Element): Shape[] =>
    [...parent.children].flatMap((child) => {
      const tag = child.tagName.toLowerCase();
      if (!TAGS.has(tag) || left-- <= 0) return [];
      const attributes: Record<string, string> = {};
      for (const { name, value } of child.attributes) {
        if (ATTRIBUTES.has(name) && /^[\w\s.,()+-]*$/.test(value)) attributes[name] = value;
        // Colours follow the theme: only "painted or not" is kept.
        if ((name === 'fill' || name === 'stroke') && value)
          attributes[name] = value === 'none' ? 'none' : 'currentColor';
      }
      return [{ tag, attributes, children: take(child) }];
    });
  const viewBox = root.getAttribute('viewBox') ?? '0 0 24 24';
  return {
    viewBox: /^[\d\s.-]+$/.test(viewBox) ? viewBox : '0 0 24 24',
    filled: root.getAttribute('fill') !== 'none' && !root.hasAttribute('stroke'),
    shapes: take(root),
  };
}
