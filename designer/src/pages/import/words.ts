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

/** The engine's remarks are parts of a sentence, with names in backticks. */
const sentence = (text: string): string => {
  const named = text.replace(/`([^`]+)`/g, '“$1”');
  return `${named.charAt(0).toUpperCase()}${named.slice(1)}`;
};

/** A remark in the reader's language. */
export function told(left: Left): { text: string; fix: string | null } {
  const words = currentLocale() === 'en' ? null : (remarks as unknown as ProblemWords);
  const { text, fix } = tell(
    { severity: 'warning', code: '', pointer: '', message: left.message, fix: left.fix },
    words,
  );
  return { text: sentence(text), fix: fix && sentence(fix) };
}
