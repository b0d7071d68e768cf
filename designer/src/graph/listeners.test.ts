// What a listener keeps and loses when one of its fields changes, and where listeners are drawn.
import { expect, it } from 'vitest';
import { readGraph } from './document';
import { changed, heardAt, type Listener, moved, readListeners } from './listeners';

const call: Listener = {
  on: 'enter',
  uses: 'a/b@1',
  with: { x: 1 },
  config: { y: 2 },
  timeout: '1s',
  retry: { attempts: 3 },
  onFailure: 'fail',
};

it.each<[string, Partial<Listener>, Listener]>([
  ['keeps the rest', { timeout: '2s' }, { ...call, timeout: '2s' }],
  [
    'drops the inputs of another node type',
    { uses: 'c/d@1' },
    { on: 'enter', uses: 'c/d@1', timeout: '1s', retry: { attempts: 3 }, onFailure: 'fail' },
  ],
  ['drops all of a call', { uses: undefined }, { on: 'enter', onFailure: 'fail' }],
  ['may still fail on leave', { on: 'leave' }, { ...call, on: 'leave' }],
  [
    'cannot fail what has failed',
    { on: 'error' },
    { on: 'error', uses: 'a/b@1', with: { x: 1 }, config: { y: 2 }, timeout: '1s', retry: { attempts: 3 } },
  ],
  ['cannot fail what is over', { on: 'end', uses: undefined }, { on: 'end' }],
])('%s', (_, change, then) => {
  expect(changed(call, change)).toEqual(then);
});

it('moves one past its neighbour, and not past the ends', () => {
  const [a, b]: Listener[] = [{ on: 'enter' }, { on: 'end' }];
  expect(moved([a, b] as Listener[], 0, 1)).toEqual([b, a]);
  expect(moved([a, b] as Listener[], 1, 1)).toEqual([a, b]);
});

it('reads only listeners', () => {
  expect(readListeners([{ on: 'end' }, null, 7, {}])).toEqual([{ on: 'end' }]);
  expect(readListeners({ on: 'end' })).toEqual([]);
});

it('tells what is heard where, those of the flow on its start', () => {
  const graph = readGraph({
    listeners: [{ on: 'end' }],
    nodes: {
      start: { type: 'start' },
      a: { type: 'task', listeners: [{ on: 'error' }, { on: 'enter' }, { on: 'error' }] },
      end: { type: 'end' },
    },
    edges: [],
  });
  expect(['start', 'a', 'end', 'none'].map((id) => heardAt(graph, id))).toEqual([['end'], ['enter', 'error'], [], []]);
});
