// Words of a JSON Schema in the reader's language: `x-title-zh-CN` stands beside `title`, as the node contract has it.
import type { JsonSchema } from '../api/shapes';
import { currentLocale, text } from '../shell/i18n.svelte';

function word(schema: JsonSchema, field: 'title' | 'description'): string {
  const local = schema[`x-${field}-${currentLocale()}`];
  return typeof local === 'string' && local !== '' ? local : text(schema[field]);
}

export const labelOf = (schema: JsonSchema, name: string): string => word(schema, 'title') || name;
export const hintOf = (schema: JsonSchema): string => word(schema, 'description');

interface Hints {
  widget?: string;
  language?: string;
  format?: string;
  advanced?: boolean;
}

export const hints = (schema: JsonSchema): Hints =>
  typeof schema['x-ui'] === 'object' && schema['x-ui'] !== null ? (schema['x-ui'] as Hints) : {};
export const isMoney = (schema: JsonSchema): boolean => schema.format === 'money' || hints(schema).format === 'money';
export const isCode = (schema: JsonSchema): boolean => schema.format === 'code' || hints(schema).widget === 'code';
