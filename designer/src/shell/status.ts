// How states look: one tone and one icon each, so that colour never stands alone. Words come from the catalogue.
import type { EffectClass, InstanceState, NodeRunState } from '../api/shapes';
import type { IconName } from './icons';

export type Tone = 'blue' | 'violet' | 'green' | 'amber' | 'orange' | 'red' | 'grey';
export interface Look {
  tone: Tone;
  icon: IconName;
  spin?: boolean;
}

export const INSTANCE_LOOK: Record<InstanceState, Look> = {
  running: { tone: 'blue', icon: 'loader', spin: true },
  waiting: { tone: 'violet', icon: 'hourglass' },
  incident: { tone: 'red', icon: 'warning' },
  suspended: { tone: 'grey', icon: 'pause' },
  compensating: { tone: 'orange', icon: 'rewind' },
  completed: { tone: 'green', icon: 'done' },
  failed: { tone: 'red', icon: 'failed' },
  compensated: { tone: 'amber', icon: 'undo' },
  cancelled: { tone: 'grey', icon: 'ban' },
};

export const NODE_LOOK: Record<NodeRunState, Look> = {
  done: { tone: 'green', icon: 'check' },
  active: { tone: 'blue', icon: 'loader', spin: true },
  waiting: { tone: 'violet', icon: 'hourglass' },
  incident: { tone: 'red', icon: 'warning' },
  failed: { tone: 'red', icon: 'x' },
  undone: { tone: 'amber', icon: 'undo' },
  skipped: { tone: 'grey', icon: 'skip' },
};

/** How an item of a for-each stands. */
export const ITEM_LOOK: Record<'done' | 'running' | 'waiting' | 'incident' | 'failed', Look> = {
  done: NODE_LOOK.done,
  running: NODE_LOOK.active,
  waiting: NODE_LOOK.waiting,
  incident: NODE_LOOK.incident,
  failed: NODE_LOOK.failed,
};

export const EFFECT_LOOK: Record<EffectClass, Look> = {
  pure: { tone: 'green', icon: 'leaf' },
  recorded: { tone: 'blue', icon: 'recorded' },
  transactional: { tone: 'violet', icon: 'database' },
  external: { tone: 'amber', icon: 'globe' },
};

export const isOver = (state: InstanceState): boolean =>
  state === 'completed' || state === 'failed' || state === 'compensated' || state === 'cancelled';
