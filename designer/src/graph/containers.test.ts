// Containers as tables: what is in what after an edit, which edges it leaves, where frames stand.
import { describe, expect, it } from 'vitest';
import { copy, paste } from './clipboard';
import * as commands from './commands';
import { around, childrenOf, crosses, hidden, inOrder, settleSteps } from './containers';
import { type Graph, readGraph } from './document';
import { boxes, frameAt } from './frames';
import { tidy } from './layout';
import { flowOrder } from './order';
import type { Ports } from './ports';

const catalogue: Ports = () => undefined;

/** `a>b` is an edge; `each[a b]` says what is in what; names beginning with `s` are stages, with `e` for-eaches. */
function draw(text: string): Graph {
  const nodes: Record<string, unknown> = {};
  const edges: unknown[] = [];
  const open: string[] = [];
  const add = (id: string) => {
    const type =
      id === 'begin'
        ? 'start'
        : id === 'done'
          ? 'end'
          : /^s\d/.test(id)
            ? 'stage'
            : /^e\d/.test(id)
              ? 'for-each'
              : 'set';
    nodes[id] ??= { type, ...(open.length > 0 ? { in: open.at(-1) } : {}) };
  };
  for (const word of text.replaceAll('[', ' [ ').replaceAll(']', ' ] ').split(/\s+/).filter(Boolean)) {
    if (word === '[') open.push(Object.keys(nodes).at(-1) ?? '');
    else if (word === ']') open.pop();
    else {
      const [from = '', to] = word.split('>');
      add(from);
      if (to === undefined) continue;
      add(to);
      edges.push({ from, to });
    }
  }
  return readGraph({ stepwell: 1, kind: 'graph', key: 'k', nodes, edges });
}

const edges = (graph: Graph): string => graph.edges.map((edge) => `${edge.from}>${edge.to}`).join(' ');
const inside = (graph: Graph): string =>
  Object.entries(graph.nodes)
    .flatMap(([id, node]) => (node.in === undefined ? [] : [`${id}@${node.in}`]))
    .join(' ');
const told = (edit: commands.Edit): string =>
  edit.ok ? `${edges(edit.graph)} | ${inside(edit.graph)}${edit.cut ? ` | cut ${edit.cut}` : ''}` : edit.reason;

const flow = draw('begin s1 [ a b ] c done begin>s1 s1>c c>done a>b');

describe('moving in and out', () => {
  it.each([
    [['c'], 's1', 'begin>s1 a>b s1>done | a@s1 b@s1 c@s1 | cut 1'],
    [['b'], undefined, 'begin>s1 s1>c c>done | a@s1 | cut 1'],
    [['a', 'b'], undefined, 'begin>s1 s1>c c>done a>b | '],
    [['a'], 's1', 'nothing-changed'],
    [['begin'], 's1', 'start-inside'],
    [['s1'], 's1', 'into-itself'],
    [['c'], 'done', 'not-a-container'],
  ] as const)('%j into %s', (ids, container, want) => {
    const edit = commands.moveInto(flow, [...ids], container, catalogue);
    const sorted = (text: string) =>
      text
        .split(' | ')
        .map((part) => part.split(' ').sort().join(' '))
        .join(' | ');
    expect(sorted(told(edit))).toBe(sorted(want));
  });
  it('takes what is in a container along with it', () => {
    const nested = draw('begin s1 [ a ] s2 begin>s1 s1>s2');
    const edit = commands.moveInto(nested, ['s1', 'a'], 's2', catalogue);
    expect(edit.ok && inside(edit.graph)).toBe('s1@s2 a@s1');
  });
  it('keeps where it was dropped', () => {
    const edit = commands.moveInto(flow, ['c'], 's1', catalogue, { c: { x: 400, y: 800 } });
    expect(edit.ok && boxes(edit.graph, catalogue).c).toMatchObject({ x: 400, y: 800 });
  });
});

describe('edges', () => {
  it.each([
    ['a', 'c', 'edge-crosses'],
    ['c', 'b', 'edge-crosses'],
    ['s1', 'b', 'edge-crosses'],
    ['b', 'a', undefined],
  ] as const)('%s to %s', (from, to, want) => {
    expect(commands.refusal(flow, from, undefined, to, catalogue)).toBe(want);
  });
  it('begin in the container of their source', () => {
    const edit = commands.addAfter(flow, 'b', undefined, { type: 'timer', after: '1s' }, catalogue);
    expect(edit.ok && edit.graph.nodes.timer?.in).toBe('s1');
    const between = commands.insertOnEdge(flow, '3:a::b', { type: 'timer', after: '1s' }, catalogue);
    expect(between.ok && between.graph.nodes.timer?.in).toBe('s1');
  });
});

describe('adding, wrapping, deleting', () => {
  it('adds into a container, and opens it for that', () => {
    const shut = commands.collapse(flow, 's1', true, catalogue);
    if (!shut.ok) throw new Error(shut.reason);
    expect([...hidden(shut.graph)].sort()).toEqual(['a', 'b']);
    const edit = commands.addInside(shut.graph, 's1', { type: 'timer' }, catalogue);
    expect(edit.ok && [childrenOf(edit.graph, 's1'), [...hidden(edit.graph)]]).toEqual([['a', 'b', 'timer'], []]);
  });
  it.each([
    [['c'], 'begin>s1 s1>stage stage>done a>b | a@s1 b@s1 c@stage'],
    [['a', 'b'], 'begin>s1 s1>c c>done a>b | a@stage b@stage stage@s1'],
    [['a', 'c'], 'several-containers'],
    [['begin'], 'start-inside'],
  ] as const)('wraps %j', (ids, want) => {
    const edit = commands.wrap(flow, [...ids], { type: 'stage' }, catalogue);
    expect(
      edit.ok
        ? told(edit)
            .split(' | ')
            .map((part) => part.split(' ').sort().join(' '))
            .join(' | ')
        : edit.reason,
    ).toBe(
      want
        .split(' | ')
        .map((part) => part.split(' ').sort().join(' '))
        .join(' | '),
    );
  });
  it('refuses to wrap what leaves by several ways', () => {
    const two = draw('begin a b c begin>a a>b a>c');
    expect(told(commands.wrap(two, ['a'], { type: 'stage' }, catalogue))).toBe('several-ways-out');
  });
  it('deletes a container with its contents, and its line closes again', () => {
    expect(told(commands.remove(flow, ['s1'], []))).toBe('begin>c c>done | ');
  });
  it('copies contents along, and pastes into a container', () => {
    const text = copy(flow, ['s1'], catalogue) ?? '';
    const edit = paste(flow, text);
    expect(edit.ok && [edit.added, inside(edit.graph)]).toEqual([
      ['s1_2', 'a_2', 'b_2'],
      'a@s1 b@s1 a_2@s1_2 b_2@s1_2',
    ]);
    const one = paste(flow, copy(flow, ['c'], catalogue) ?? '', undefined, 's1');
    expect(one.ok && one.graph.nodes.c_2?.in).toBe('s1');
  });
  it('renames a container where its nodes and steps name it', () => {
    const staged = settleSteps({ ...flow, nodes: { ...flow.nodes, s1: { type: 'stage', steps: [] } } });
    const renamed = commands.renameNode(staged, 's1', 'prepare');
    expect(renamed.ok && inside(renamed.graph)).toBe('a@prepare b@prepare');
    const step = renamed.ok ? commands.renameNode(renamed.graph, 'a', 'first') : renamed;
    expect(step.ok && step.graph.nodes.prepare?.steps).toEqual([{ run: 'first', sync: true }]);
  });
});

describe('steps', () => {
  const staged = { ...flow, nodes: { ...flow.nodes, s1: { type: 'stage', steps: [{ run: 'gone' }] } } };
  it('are the nodes that no edge leads to, and only those', () => {
    expect(settleSteps(staged).nodes.s1?.steps).toEqual([{ run: 'a', sync: true }]);
    const cut = commands.remove(settleSteps(staged), [], ['3:a::b']);
    expect(cut.ok && cut.graph.nodes.s1?.steps?.map((step) => step.run)).toEqual(['a', 'b']);
    expect(settleSteps(flow)).toBe(flow);
  });
  it('run by their order, ties by place in the list', () => {
    const steps = [{ run: 'a', order: 2 }, { run: 'b' }, { run: 'c', order: 2 }, { run: 'd', order: -1 }];
    expect(inOrder(steps).map((step) => step.run)).toEqual(['d', 'b', 'a', 'c']);
  });
});

describe('frames', () => {
  const nested = draw('begin s1 [ a s2 [ b e1 [ ] ] ] c begin>s1 s1>c a>s2 b>e1');
  const laid = { ...nested, layout: tidy(nested, catalogue) };
  const all = boxes(laid, catalogue);
  it('reach around what is in them', () => {
    for (const id of Object.keys(nested.nodes)) {
      for (const frame of around(nested, id)) {
        const [box, outer] = [all[id], all[frame]];
        if (!box || !outer) throw new Error('no box');
        expect(box.x >= outer.x && box.y >= outer.y, `${id} in ${frame}`).toBe(true);
        expect(box.x + box.width <= outer.x + outer.width, `${id} in ${frame}`).toBe(true);
        expect(box.y + box.height <= outer.y + outer.height, `${id} in ${frame}`).toBe(true);
      }
    }
    expect(all.c?.x).toBeGreaterThan((all.s1?.x ?? 0) + (all.s1?.width ?? 0));
  });
  it('follow a move, and grow no larger by it', () => {
    const edit = commands.move(laid, { s1: { x: 1000, y: 1000 } });
    const to = edit.ok ? boxes(edit.graph, catalogue) : {};
    expect(to.b).toMatchObject({ x: (all.b?.x ?? 0) + 1000 - (all.s1?.x ?? 0) });
    expect(to.s1).toMatchObject({ x: 1000, y: 1000, width: all.s1?.width, height: all.s1?.height });
  });
  it('are found from within, without what is moved', () => {
    const centre = { x: (all.b?.x ?? 0) + 20, y: (all.b?.y ?? 0) + 20 };
    expect(frameAt(laid, centre, ['b'], catalogue)).toBe('s2');
    expect(frameAt(laid, centre, ['s2'], catalogue)).toBe('s1');
    expect(frameAt(laid, { x: -500, y: 0 }, [], catalogue)).toBeUndefined();
  });
  it('can be drawn larger, and fit again', () => {
    const large = commands.resize(
      laid,
      's2',
      { x: all.s2?.x ?? 0, y: all.s2?.y ?? 0, width: 2000, height: 40 },
      catalogue,
    );
    if (!large.ok) throw new Error(large.reason);
    expect(boxes(large.graph, catalogue).s2).toMatchObject({ width: 2000, height: all.s2?.height });
    const back = commands.fit(large.graph, 's2');
    expect(back.ok && boxes(back.graph, catalogue).s2?.width).toBe(all.s2?.width);
  });
  it('come back to where everything was when shut and opened', () => {
    const shut = commands.collapse(laid, 's1', true, catalogue);
    if (!shut.ok) throw new Error(shut.reason);
    expect(boxes(shut.graph, catalogue).c?.x).toBeLessThan(all.c?.x ?? 0);
    const open = commands.collapse(shut.graph, 's1', false, catalogue);
    expect(open.ok && boxes(open.graph, catalogue)).toEqual(all);
  });
  it('are read right after their container', () => {
    expect(flowOrder(nested).join(' ')).toBe('begin s1 a s2 b e1 c');
  });
  it('do not turn in a circle', () => {
    const circle = readGraph({
      nodes: { a: { type: 'stage', in: 'b' }, b: { type: 'stage', in: 'a' }, c: { type: 'set', in: 'x' } },
    });
    expect([around(circle, 'a'), crosses(circle, 'a', 'c')]).toEqual([[], false]);
    expect(Object.keys(boxes(circle, catalogue))).toHaveLength(3);
  });
});
