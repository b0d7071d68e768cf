// A journal entry in words: what kind of thing happened, and the one detail worth a line.
import type { JournalEntry } from '../api/shapes';
import type { IconName } from '../shell/icons';
import type { Tone } from '../shell/status';

export interface Told {
  /** Key below `event.` in the catalogue. */
  kind: string;
  tone: Tone;
  icon: IconName;
  brief: string;
}

const LOOKS: Record<string, [Tone, IconName]> = {
  started: ['grey', 'play'],
  returned: ['green', 'check'],
  waits: ['violet', 'hourglass'],
  failed: ['red', 'alert'],
  cut: ['red', 'alarm'],
  undone: ['amber', 'undo'],
  'undo-failed': ['red', 'alert'],
  'never-ran': ['grey', 'skip'],
  'timer-fired': ['violet', 'alarm'],
  'message-arrived': ['violet', 'mail'],
  commanded: ['blue', 'command'],
  'limit-reached': ['red', 'alert'],
};

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const words = (...parts: unknown[]): string =>
  parts.filter((part): part is string => typeof part === 'string' && part !== '').join(' · ');

export function tell(entry: JournalEntry): Told {
  const data = fields(entry.data);
  let kind = entry.type;
  let brief = '';
  if (entry.type === 'node-returned') {
    const outcome = fields(data.outcome);
    const undo = data.op === 'undo';
    switch (outcome.outcome) {
      case 'waiting':
        kind = 'waits';
        brief = words(outcome.message, outcome.key);
        break;
      case 'failed':
        kind = undo ? 'undo-failed' : 'failed';
        brief = words(outcome.class, outcome.code, outcome.message);
        break;
      case 'cut':
        kind = undo ? 'undo-failed' : 'cut';
        brief = words(outcome.reason, outcome.message);
        break;
      case 'never-ran':
        kind = 'never-ran';
        break;
      default:
        kind = undo ? 'undone' : 'returned';
        brief =
          typeof outcome.port === 'string' && outcome.port !== 'out' && outcome.port !== 'done'
            ? `→ ${outcome.port}`
            : '';
    }
  } else if (entry.type === 'commanded') brief = words(data.command, data.by, data.reason);
  const [tone, icon] = LOOKS[kind] ?? ['grey', 'dot'];
  return { kind, tone, icon, brief };
}
