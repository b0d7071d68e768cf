// Items and called flows, read from the paths the engine gives.
import { expect, it } from 'vitest';
import type { InstanceDetail, NodeRun, Token } from '../api/shapes';
import { readGraph } from '../graph/document';
import { calledRuns, itemsOf, progress, shownFor, within } from './inside';

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

it('sees an instance from inside a run of a called flow, in the names of its own drawing', () => {
  const pay = readGraph({
    nodes: {
      begin: { type: 'set' },
      each: { type: 'for-each' },
      pack: { type: 'task', in: 'each' },
      again: { type: 'call' },
    },
  });
  const instance = {
    ...seen(
      {
        begin: run('waiting'),
        'pay.1/begin': run('done'),
        'pay.1/each.1/0/pack': run('done'),
        'pay.1/each.1/1/pack': run('incident'),
        'pay.1/each.1/1/again.2/begin': run('active'),
        'pay.2/begin': run('active'),
      },
      [token('pay.1/each.1/1/pack', 'incident', 'pay.1/each.1/1/'), token('pay.2/begin', 'calling', 'pay.2/')],
    ),
    undoPlan: [
      { node: 'pay.1/begin', visit: 1 },
      { node: 'one', visit: 1 },
    ],
  } as unknown as InstanceDetail;
  const inner = within(pay, 'pay.1/', instance);
  expect(Object.entries(inner.nodes).map(([node, one]) => `${node} ${one.state} ${one.visits}`)).toEqual([
    'begin done 1',
    // Two items, the worse of them shown.
    'pack incident 2',
    // What is called from there keeps its path.
    'each.1/1/again.2/begin active 1',
  ]);
  expect(inner.tokens.map((one) => `${one.node} in ${one.scope}`)).toEqual(['pack in each.1/1/']);
  expect(inner.undoPlan.map((step) => step.node)).toEqual(['begin']);
});
