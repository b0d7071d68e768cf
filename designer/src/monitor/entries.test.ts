import { expect, it } from 'vitest';
import { tell } from './entries';

it.each([
  ['started', {}, 'started', ''],
  ['node-returned', { op: 'run', outcome: { outcome: 'done', port: 'out' } }, 'returned', ''],
  ['node-returned', { op: 'run', outcome: { outcome: 'done', port: 'declined' } }, 'returned', '→ declined'],
  [
    'node-returned',
    { op: 'run', outcome: { outcome: 'failed', class: 'rejected', code: 'OUT_OF_STOCK', message: 'none left' } },
    'failed',
    'rejected · OUT_OF_STOCK · none left',
  ],
  [
    'node-returned',
    { op: 'run', outcome: { outcome: 'cut', reason: 'deadline', message: 'after 3000 ms' } },
    'cut',
    'deadline · after 3000 ms',
  ],
  ['node-returned', { op: 'undo', outcome: { outcome: 'done', port: 'out' } }, 'undone', ''],
  ['node-returned', { op: 'undo', outcome: { outcome: 'cut', reason: 'trap' } }, 'undo-failed', 'trap'],
  [
    'node-returned',
    { op: 'run', outcome: { outcome: 'waiting', message: 'payment', key: 'O-1' } },
    'waits',
    'payment · O-1',
  ],
  ['commanded', { command: 'cancel', by: 'admin', reason: 'asked' }, 'commanded', 'cancel · admin · asked'],
  ['from-a-newer-engine', null, 'from-a-newer-engine', ''],
])('%s %j', (type, data, kind, brief) => {
  expect(tell({ seq: 1, at: '', type, data: data as never })).toMatchObject({ kind, brief });
});
