// The checker speaks English. In another language a problem is told by its code, with the names the checker quotes;
// what has no translation stands as the checker said it.
import type { Problem } from '../api/shapes';
import { wordsOfProblems } from './i18n.svelte';

type Pattern = readonly [pattern: string, text: string];
export interface ProblemWords {
  codes: Record<string, string>;
  /** Sentences that several codes share: what a value does not match. */
  wordings: Pattern[];
  fixes: Pattern[];
}

const fill = (text: string, names: string[]): string =>
  text.replace(/\{(\d)\}/g, (_, index) => names[Number(index)] ?? '');

function translated(text: string, patterns: Pattern[]): string | null {
  for (const [pattern, words] of patterns) {
    const found = new RegExp(pattern, 'u').exec(text);
    if (found) return fill(words, found.slice(1));
  }
  return null;
}

export function tell(problem: Problem, words: ProblemWords | null): { text: string; fix: string | null } {
  const fix = problem.fix || null;
  if (!words) return { text: problem.message, fix };
  const names = [...problem.message.matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? '');
  const sentence = words.codes[problem.code];
  // A sentence with a place that nothing fills says less than the checker's own.
  const whole = sentence && [...sentence.matchAll(/\{(\d)\}/g)].every((place) => names[Number(place[1])] !== undefined);
  const text = translated(problem.message, words.wordings) ?? (whole ? fill(sentence, names) : problem.message);
  return { text, fix: fix && (translated(fix, words.fixes) ?? fix) };
}

/** In the reader's language. */
export const explain = (problem: Problem): { text: string; fix: string | null } => tell(problem, wordsOfProblems());
