// Items and called flows, read from the paths the engine gives.
import { expect, it } from 'vitest';
import type { NodeRun, Token } from '../api/shapes';
import { readGraph } from '../graph/document';
import { calledRuns, itemsOf, progress, shownFor } from './inside';

const graph = readGraph({
  nodes: {
    each: { type: 'for-each', items: '=input.lines' },
    one: { type: 'task', in: 'each' },
    two: { type: 'user-task', in: 'each' },
    pay: { type: 'call', flow: 'pay@1' },
  },
  edges: [{ from: 'one', to: 'two' }],
});
const run = (state: NodeRun['state'], visits = 1, more: Partial<NodeRun> = {}): NodeRun => ({
  state,
  visits,
  attempts: 1,
  ...more,
});
const token = (node: string, state: Token['state'], scope?: string): Token => ({
  token: `${scope}${node}`,
  node,
  visit: 1,
  state,
  attempt: 1,
  since: '',
  dueAt: null,
  waiting: null,
  error: null,
  scope,
});
const seen = (nodes: Record<string, NodeRun>, tokens: Token[] = []) => ({
  nodes,
  tokens,
  input: { lines: [1, 2, 3, 4, 5] },
  vars: {},
});

it.each([
  ['never reached', seen({}), ''],
  [
    'some done, some under way',
    seen({ each: run('active'), one: run('active', 4) }, [
      token('one', 'calling', 'each.1/3/'),
      token('two', 'open', 'each.1/1/'),
    ]),
    'done waiting done running',
  ],
  [
    'an incident',
    seen({ each: run('active'), one: run('incident', 1) }, [token('one', 'incident', 'each.1/0/')]),
    'incident',
  ],
  // Counters of earlier visits say nothing of this one; its tokens do.
  [
    'a second visit',
    seen({ each: run('active', 2), one: run('active', 9) }, [token('one', 'calling', 'each.2/1/')]),
    'done running',
  ],
  [
    'inside of another',
    seen({ each: run('active'), one: run('active') }, [token('one', 'calling', 'outer.1/4/each.1/0/')]),
    'running',
  ],
  [
    'over, with failures collected',
    seen({
      each: run('done', 1, {
        lastOutput: [{ a: 1 }, { error: { code: 'X', message: 'no' } }, { error: 'just a field' }],
      }),
    }),
    'done failed done',
  ],
])('items: %s', (_, given, want) => {
  expect(
    itemsOf(graph, 'each', given)
      .map((item) => item.state)
      .join(' '),
  ).toBe(want);
});

it('counts the items of a for-each', () => {
  const given = seen({ each: run('active'), one: run('active', 3) }, [token('one', 'incident', 'each.1/2/')]);
  expect(progress(graph, given)).toEqual({ each: { done: 2, running: 0, waiting: 0, failed: 1, all: 5 } });
  expect(progress(graph, seen({}))).toEqual({});
});

it('finds the nodes of a called flow, run by run', () => {
  const given = seen(
    {
      pay: run('active', 2),
      'pay.1/begin': run('done'),
      'pay.2/begin': run('active'),
      'pay.2/deep.1/x': run('done'),
      payroll: run('done'),
    },
    [token('pay.2/begin', 'calling', 'pay.2/')],
  );
  expect(
    calledRuns('pay', given).map((one) => [one.path, one.visit, Object.keys(one.nodes), one.tokens.length]),
  ).toEqual([
    ['pay.1/', 1, ['begin'], 0],
    ['pay.2/', 2, ['begin', 'deep.1/x'], 1],
  ]);
  expect([shownFor(graph, 'pay.2/begin'), shownFor(graph, 'one'), shownFor(graph, 'gone.1/x')]).toEqual([
    'pay',
    'one',
    'gone.1/x',
  ]);
});
