// What the import of BPMN says, and how the engine's remarks on it are told in other languages.
import en from '../../../messages/import.en.json';
import zh from '../../../messages/import.zh-CN.json';
import remarks from '../../../messages/remarks.zh-CN.json';
import { currentLocale } from '../../shell/i18n.svelte';
import { type ProblemWords, tell } from '../../shell/problems';
import { wordsOf } from '../../shell/words';

export const { w } = wordsOf(en, zh);

export interface Left {
  element: string;
  id?: string;
  line: number;
  message: string;
  fix?: string;
}

/** A remark in the reader's language. */
export function told(left: Left): { text: string; fix: string | null } {
  const words = currentLocale() === 'en' ? null : (remarks as unknown as ProblemWords);
  return tell({ severity: 'warning', code: '', pointer: '', message: left.message, fix: left.fix }, words);
}
