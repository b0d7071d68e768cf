// Every mechanical remedy, as the checker words its problems.
import { describe, expect, it } from 'vitest';
import { type Graph, readGraph } from './document';
import { mend, type Trouble } from './fixes';

const types = (uses: string) =>
  uses === 'shop/take@1'
    ? {
        ports: [{ name: 'done' }],
        undo: true,
        config: { properties: { mode: { enum: ['fast', 'slow'] } } },
        input: {
          properties: {
            sku: { type: 'string' },
            quantity: { type: 'integer', minimum: 1 },
            note: { type: 'string' },
            to: { type: 'object', properties: { city: { type: 'string', default: 'Lima' } } },
          },
        },
        examples: [{ input: { quantity: 3 } }],
      }
    : undefined;

const flow = (change: Record<string, unknown> = {}): Graph =>
  readGraph({
    stepwell: 1,
    kind: 'graph',
    key: 'f',
    input: { type: 'object', properties: { sku: { type: 'string' } } },
    nodes: {
      start: { type: 'start' },
      take: { type: 'task', uses: 'shop/take@1', with: { skku: 'A', note: '=nodes.tkae.x + vars.grade' } },
      choice: { type: 'exclusive' },
      wait: { type: 'receive', message: 'm', key: '=1', listeners: [{ on: 'enter', uses: 'shop/take@1', with: {} }] },
      end: { type: 'end', output: {} },
    },
    listeners: [
      { on: 'end', uses: 'shop/take@1', onFailure: 'fail' },
      { on: 'enter', set: { a: 1 }, timeout: '1s' },
    ],
    edges: [
      { from: 'start', to: 'take' },
      { from: 'take', to: 'choice' },
      { from: 'choice', to: 'wait', when: 'input.a' },
      { from: 'choice', to: 'end', when: '' },
    ],
    ...change,
  });

const rows: [string, Partial<Trouble>, string[], unknown][] = [
  [
    'begins an input of a listener with the example of its own node type',
    {
      code: 'INPUT_MISSING',
      pointer: '/nodes/wait/listeners/0/with',
      message: '`quantity` is required',
      fix: 'add `quantity`',
    },
    ['nodes', 'wait', 'listeners', '0', 'with', 'quantity'],
    3,
  ],
  [
    'takes a failure away that comes too late',
    { code: 'LISTENER_FORM', pointer: '/listeners/0/onFailure', fix: 'use `ignore` or `incident`' },
    ['listeners', '0', 'onFailure'],
    undefined,
  ],
  [
    'takes away what only a call has',
    { code: 'LISTENER_FORM', pointer: '/listeners/1/timeout', fix: 'add `uses`, or remove it' },
    ['listeners', '1'],
    { on: 'enter', set: { a: 1 } },
  ],
  [
    'and of the flow’s',
    {
      code: 'CONFIG_MISMATCH',
      pointer: '/listeners/0/config',
      message: '`mode` is required',
      fix: 'add `mode`',
    },
    ['listeners', '0', 'config', 'mode'],
    'fast',
  ],
  [
    'renames a field',
    {
      code: 'INPUT_UNKNOWN',
      pointer: '/nodes/take/with/skku',
      message: 'the node type takes no `skku`',
      fix: 'did you mean `sku`?',
    },
    ['nodes', 'take', 'with', 'sku'],
    'A',
  ],
  [
    'removes a field',
    {
      code: 'INPUT_UNKNOWN',
      pointer: '/nodes/take/with/skku',
      message: 'the node type takes no `skku`',
      fix: 'remove it',
    },
    ['nodes', 'take', 'with', 'skku'],
    undefined,
  ],
  [
    'corrects a word',
    {
      code: 'PLUGIN_MISSING',
      pointer: '/nodes/take/uses',
      message: 'no plugin `shop/take@1`',
      fix: 'did you mean `commerce/take@1`?',
    },
    ['nodes', 'take', 'uses'],
    'commerce/take@1',
  ],
  [
    'corrects a node in an expression',
    {
      code: 'UNKNOWN_REFERENCE',
      pointer: '/nodes/take/with/note',
      message: 'there is no node `tkae`',
      fix: 'did you mean `nodes.take`?',
    },
    ['nodes', 'take', 'with', 'note'],
    '=nodes.take.x + vars.grade',
  ],
  [
    'corrects a variable in an expression',
    {
      code: 'UNKNOWN_REFERENCE',
      pointer: '/nodes/take/with/note',
      message: 'no set node writes `vars.grade`',
      fix: 'did you mean `vars.tier`?',
    },
    ['nodes', 'take', 'with', 'note'],
    '=nodes.tkae.x + vars.tier',
  ],
  [
    'adds what the flow is given',
    { code: 'INPUT_MISSING', pointer: '/nodes/take/with', message: '`sku` is required', fix: 'add `sku`' },
    ['nodes', 'take', 'with', 'sku'],
    '=input.sku',
  ],
  [
    'adds the example',
    { code: 'INPUT_MISSING', pointer: '/nodes/take/with', message: '`quantity` is required', fix: 'add `quantity`' },
    ['nodes', 'take', 'with', 'quantity'],
    3,
  ],
  [
    'adds what the schema says, deep inside',
    { code: 'INPUT_MISSING', pointer: '/nodes/take/with/to', message: '`city` is required', fix: 'add `city`' },
    ['nodes', 'take', 'with', 'to', 'city'],
    'Lima',
  ],
  [
    'adds to a configuration',
    { code: 'CONFIG_MISMATCH', pointer: '/nodes/take/config', message: '`mode` is required', fix: 'add `mode`' },
    ['nodes', 'take', 'config', 'mode'],
    'fast',
  ],
  [
    'removes a field by name',
    { code: 'DELIVERY_WITHOUT_EFFECT', pointer: '/nodes/wait/key', message: '', fix: 'remove `key`' },
    ['nodes', 'wait', 'key'],
    undefined,
  ],
  [
    'makes the way without a condition the default',
    { code: 'NO_DEFAULT', pointer: '/nodes/choice', message: '', fix: 'make one edge the default' },
    ['edges', '3', 'default'],
    true,
  ],
  [
    'makes an edge without a condition the default',
    { code: 'EDGE_WITHOUT_CONDITION', pointer: '/edges/3', message: '', fix: 'add `when`, or make it the default' },
    ['edges', '3', 'when'],
    undefined,
  ],
  [
    'leads a dead end to the end',
    {
      code: 'DEAD_END',
      pointer: '/nodes/wait',
      message: 'nothing comes after `wait`',
      fix: 'draw an edge to the next node, or to an end',
    },
    ['edges', '4', 'to'],
    'end',
  ],
  [
    'lets a step be undone',
    { code: 'NO_UNDO', pointer: '/nodes/take', message: '', fix: 'add "undo": true' },
    ['nodes', 'take', 'undo'],
    true,
  ],
  [
    'ends a wait',
    {
      code: 'RECEIVE_WITHOUT_TIMEOUT',
      pointer: '/nodes/wait',
      message: '',
      fix: 'add a `timeout` and an edge from its port',
    },
    ['nodes', 'wait', 'timeout'],
    '24h',
  ],
];

function read(value: unknown, path: string[]): unknown {
  return path.reduce<unknown>((here, part) => (here as Record<string, unknown> | undefined)?.[part], value);
}

describe('a remedy that needs no choice', () => {
  it.each(rows)('%s', (_, problem, path, wanted) => {
    const graph = flow();
    const before = JSON.stringify(graph);
    const found = mend(graph, { code: '', pointer: '', message: '', ...problem }, types);
    expect(found).not.toBeNull();
    if (found?.edit.ok) expect(read(found.edit.graph, path)).toEqual(wanted);
    expect(JSON.stringify(graph)).toBe(before);
  });

  it('cuts an edge that cannot be', () => {
    const found = mend(
      flow(),
      { code: 'EDGE_FROM_END', pointer: '/edges/0', message: '', fix: 'remove the edge' },
      types,
    );
    expect(found?.edit.ok && found.edit.graph.edges.length).toBe(3);
  });

  it.each(['start', 'end'] as const)('adds a %s', (type) => {
    const { [type]: _, ...nodes } = flow().nodes;
    const found = mend(flow({ nodes }), { code: `NO_${type.toUpperCase()}`, pointer: '/nodes', message: '' }, types);
    expect(found?.edit.ok && found.edit.graph.nodes[type]?.type).toBe(type);
  });
});

it.each([
  [
    'a choice of the author',
    { code: 'DURATION', pointer: '/nodes/wait/timeout', message: '`x` is no duration', fix: 'write 30m' },
  ],
  ['a place that is gone', { code: 'INPUT_UNKNOWN', pointer: '/nodes/gone/with/x', message: '`x`', fix: 'remove it' }],
  [
    'a name that is taken',
    { code: 'INPUT_UNKNOWN', pointer: '/nodes/take/with/skku', message: '`skku`', fix: 'did you mean `note`?' },
  ],
  ['no word at all', { code: 'PARALLEL_WRITE', pointer: '/nodes/take', message: 'two', fix: null }],
])('offers nothing for %s', (_, problem) => {
  expect(mend(flow(), problem, types)).toBeNull();
});
