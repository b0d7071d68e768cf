// Commands as tables, history as a property: whatever is done can be undone to the last byte.
import { describe, expect, it } from 'vitest';
import { copy, paste } from './clipboard';
import * as commands from './commands';
import { crosses } from './containers';
import { type Graph, readGraph } from './document';
import { boxes, positions } from './frames';
import { canonical, meaning, whole } from './hash';
import * as history from './history';
import { sizeOf, tidy } from './layout';
import { flowOrder } from './order';
import { type Ports, portsOf } from './ports';
import { template } from './samples';

const catalogue: Ports = (uses) =>
  ({
    'payment/pay@1': { ports: [{ name: 'paid' }, { name: 'declined' }] },
    'json/transform@1': { ports: [{ name: 'out' }] },
  })[uses];

/** `a>b` is an edge, `a.port>b` leaves from a port, `x` behind a name is an exclusive, `p` a parallel. */
function draw(text: string, types: Record<string, string> = {}): Graph {
  const graph: Graph = { stepwell: 1, kind: 'graph', key: 'test', nodes: {}, edges: [] };
  const add = (id: string) => {
    graph.nodes[id] ??= {
      type: types[id] ?? (id === 'start' || id === 'end' ? id : 'task'),
      ...(types[id] || id === 'start' || id === 'end' ? {} : { uses: 'json/transform@1' }),
    };
  };
  for (const word of text.split(' ').filter(Boolean)) {
    const [left = '', to = ''] = word.split('>');
    const [from = '', port] = left.split('.');
    add(from);
    if (to === '') continue;
    add(to);
    graph.edges.push(port ? { from, port, to } : { from, to });
  }
  return graph;
}

const show = (graph: Graph): string =>
  graph.edges.map((edge) => `${edge.from}${edge.port ? `.${edge.port}` : ''}>${edge.to}`).join(' ');

function outcome(edit: commands.Edit): string {
  return edit.ok ? show(edit.graph) : edit.reason;
}

describe('connect', () => {
  const flow = draw('start>a a>b b>end x>a', { x: 'exclusive' });
  it.each([
    ['x', undefined, 'b', `${show(flow)} x>b`],
    ['x', undefined, 'a', 'already-connected'],
    ['a', undefined, 'end', 'port-taken'],
    ['a', undefined, 'a', 'to-itself'],
    ['end', undefined, 'a', 'has-no-output'],
    ['b', 'sold_out', 'start', 'has-no-input'],
    ['b', 'sold_out', 'end', `${show(flow)} b.sold_out>end`],
    ['nobody', undefined, 'a', 'no-such-node'],
  ] as const)('%s.%s to %s', (from, port, to, want) => {
    expect(outcome(commands.connect(flow, from, port, to, catalogue))).toBe(want);
  });

  it('makes the first way out of a choice its default, the others conditions', () => {
    let flow = draw('start>x a> b>', { x: 'exclusive' });
    for (const to of ['a', 'b']) {
      const edit = commands.connect(flow, 'x', undefined, to, catalogue);
      if (edit.ok) flow = edit.graph;
    }
    expect(flow.edges.slice(1)).toEqual([
      { from: 'x', to: 'a', default: true },
      { from: 'x', to: 'b', when: '' },
    ]);
  });
});

describe('remove', () => {
  it.each([
    ['start>a a>b b>end', ['a'], 'start>b b>end'],
    ['start>a a>b b>end', ['a', 'b'], 'start>end'],
    ['start>a a>end a.late>end', ['a'], ''], // Two ways out: which one would continue the line is not ours to guess.
    ['start>a', ['start', 'a'], ''],
    ['start>a', ['nobody'], 'nothing-changed'],
  ])('%s without %s', (text, nodes, want) => {
    const edit = commands.remove(draw(text), nodes, []);
    expect(edit.ok ? edit.graph.edges.map((edge) => `${edge.from}>${edge.to}`).join(' ') : edit.reason).toBe(want);
  });
});

describe('insert and add', () => {
  it('puts a node on an edge and keeps its condition before it', () => {
    const flow = draw('start>x x>a a>end', { x: 'exclusive' });
    flow.edges[1] = { from: 'x', to: 'a', when: 'input.big' };
    const edit = commands.insertOnEdge(flow, '1:x::a', { type: 'timer', after: '1m' }, catalogue);
    expect(outcome(edit)).toBe('start>x x>timer timer>a a>end');
    expect(edit.ok && edit.graph.edges[1]?.when).toBe('input.big');
  });
  it.each([
    ['9:a::b', { type: 'timer' }, 'no-such-edge'],
    ['0:start::a', { type: 'end' }, 'has-no-output'],
    ['0:start::a', { type: 'start' }, 'has-no-input'],
  ])('refuses %s', (edge, node, want) => {
    expect(outcome(commands.insertOnEdge(draw('start>a'), edge, node, catalogue))).toBe(want);
  });
  it('names nodes after their type and keeps one start', () => {
    const flow = draw('start>reserve_stock');
    const edit = commands.addNode(flow, { type: 'task', uses: 'commerce/reserve-stock@1' }, { x: 3, y: 4 });
    expect(edit.ok && edit.added).toEqual(['reserve_stock_2']);
    expect(outcome(commands.addNode(flow, { type: 'start' }, { x: 0, y: 0 }))).toBe('one-start-only');
  });
});

describe('rename', () => {
  it('follows edges, places and expressions', () => {
    const flow = readGraph({
      nodes: {
        start: { type: 'start' },
        pay: { type: 'task', with: { a: '=nodes.pay.x + nodes.payment.y', b: 'nodes.pay' } },
      },
      edges: [{ from: 'start', to: 'pay', when: 'nodes.pay.x' }],
      layout: { pay: { x: 1, y: 2 } },
    });
    const edit = commands.renameNode(flow, 'pay', 'paying');
    expect(edit.ok && edit.graph).toMatchObject({
      nodes: { paying: { with: { a: '=nodes.paying.x + nodes.payment.y', b: 'nodes.pay' } } },
      edges: [{ to: 'paying', when: 'nodes.paying.x' }],
      layout: { paying: { x: 1, y: 2 } },
    });
  });
  it.each([
    ['a', 'b', 'id-taken'],
    ['a', 'two words', 'id-not-valid'],
    ['a', 'a', 'nothing-changed'],
    ['nobody', 'c', 'no-such-node'],
  ])('%s to %s', (id, to, want) => {
    expect(outcome(commands.renameNode(draw('a>b'), id, to))).toBe(want);
  });
});

describe('boundaries', () => {
  it('come with a port and go with its edges', () => {
    const added = commands.addBoundary(draw('start>a a>end'), 'a', 'OUT_OF_STOCK', {
      type: 'error',
      code: 'OUT_OF_STOCK',
    });
    if (!added.ok) throw new Error(added.reason);
    expect(portsOf(added.graph.nodes.a ?? { type: 'task' }, catalogue).map((port) => port.label)).toEqual([
      'out',
      'out_of_stock',
    ]);
    const wired = commands.connect(added.graph, 'a', 'out_of_stock', 'end', catalogue);
    if (!wired.ok) throw new Error(wired.reason);
    const renamed = commands.renameBoundary(wired.graph, 'a', 'out_of_stock', 'sold_out');
    expect(outcome(renamed)).toBe('start>a a>end a.sold_out>end');
    expect(renamed.ok && outcome(commands.removeBoundary(renamed.graph, 'a', 'sold_out'))).toBe('start>a a>end');
  });
  it('show every port of a node type', () => {
    expect(
      portsOf({ type: 'task', uses: 'payment/pay@1', on: { late: { type: 'timeout' } } }, catalogue).map(
        (port) => `${port.name}:${port.kind}`,
      ),
    ).toEqual(['undefined:flow', 'declined:flow', 'late:timeout']);
  });
});

describe('clipboard', () => {
  it('pastes with fresh ids and rewritten expressions', () => {
    const flow = template('saga', 'k', 'K');
    const text = copy(flow, ['start', 'pay_check', 'paid', 'ship'], catalogue) ?? '';
    const edit = paste(flow, text, { x: 0, y: 0 });
    if (!edit.ok) throw new Error(edit.reason);
    expect(edit.added).toEqual(['pay_check_2', 'paid_2', 'ship_2']);
    expect(edit.graph.edges.find((edge) => edge.to === 'ship_2')?.when).toBe("nodes.paid_2.status == 'PAID'");
  });
  it.each(['', 'hello', '{"nodes":{"a":{}}}', '{"nodes":[]}', '[]'])('refuses %s', (text) => {
    expect(outcome(paste(draw('start>a'), text))).toBe('nothing-to-paste');
  });
});

describe('order and layout', () => {
  it.each([
    ['start>a a>b b>end', {}, 'start a b end'],
    ['start>x x>a x>b a>j b>j j>end', { x: 'exclusive', j: 'exclusive' }, 'start x a b j end'],
    ['start>a a>b b>a b>end', {}, 'start a b end'], // A cycle does not hide what follows it.
    ['start>a lost>end', {}, 'start a lost end'],
  ])('%s', (text, types, want) => {
    expect(flowOrder(draw(text, types)).join(' ')).toBe(want);
  });
  it('tidies without overlaps, left to right', () => {
    const flow = template('saga', 'k', 'K');
    const layout = tidy(flow, catalogue);
    const boxes = Object.entries(layout).map(([id, point]) => ({
      id,
      ...point,
      ...sizeOf(flow.nodes[id] ?? { type: 'task' }, catalogue),
    }));
    for (const a of boxes) {
      for (const b of boxes) {
        if (a.id === b.id) continue;
        const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        expect(apart, `${a.id} on ${b.id}`).toBe(true);
      }
    }
    expect(layout.start?.x).toBeLessThan(layout.shipped?.x ?? 0);
  });
  it('places what has no place beside what has', () => {
    const flow = { ...draw('start>a a>b'), layout: { start: { x: 800, y: 80 }, a: { x: 960, y: 80 } } };
    expect(positions(flow, catalogue).b?.x).toBeGreaterThan(960);
  });
});

describe('hash', () => {
  it('ignores key order, and layout where the meaning counts', () => {
    const a = draw('start>a');
    const b = { ...a, layout: { a: { x: 1, y: 1 } } };
    expect(canonical({ b: 1, a: [undefined, { d: 1, c: undefined }] })).toBe('{"a":[null,{"d":1}],"b":1}');
    expect(meaning(a)).toBe(meaning(b));
    expect(whole(a)).not.toBe(whole(b));
  });
});

describe('history', () => {
  /** A small deterministic generator: the seed is in the test's name, so a failure can be run again. */
  function random(seed: number) {
    let state = seed;
    return (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }
  function randomEdit(graph: Graph, pick: (below: number) => number): commands.Edit {
    const ids = Object.keys(graph.nodes);
    const one = () => ids[pick(ids.length)] ?? 'nobody';
    const edge = () => {
      const index = pick(Math.max(1, graph.edges.length));
      const found = graph.edges[index];
      return found ? `${index}:${found.from}:${found.port ?? ''}:${found.to}` : '0:none::none';
    };
    const kinds = ['task', 'timer', 'exclusive', 'parallel', 'end', 'set', 'stage', 'for-each', 'user-task'];
    const fresh = () => commands.blank(kinds[pick(kinds.length)] ?? 'set');
    switch (pick(19)) {
      case 0:
        return commands.addNode(graph, fresh(), { x: pick(999), y: pick(999) });
      case 1:
        return commands.addAfter(graph, one(), undefined, fresh(), catalogue);
      case 2:
        return commands.insertOnEdge(graph, edge(), fresh(), catalogue);
      case 3:
        return commands.connect(graph, one(), undefined, one(), catalogue);
      case 4:
        return commands.remove(graph, [one()], []);
      case 5:
        return commands.remove(graph, [], [edge()]);
      case 6:
        return commands.patchNode(graph, one(), { title: `t${pick(99)}`, timeout: undefined });
      case 7:
        return commands.renameNode(graph, one(), `n${pick(99)}`);
      case 8:
        return commands.move(graph, { [one()]: { x: pick(999), y: pick(999) } });
      case 9:
        return commands.tidyUp(graph, catalogue);
      case 10:
        return commands.addBoundary(graph, one(), 'late', { type: 'timeout' });
      case 12:
        return commands.moveInto(graph, [one(), one()], pick(3) === 0 ? undefined : one(), catalogue);
      case 13:
        return commands.addInside(graph, one(), fresh(), catalogue);
      case 14:
        return commands.collapse(graph, one(), pick(2) === 0, catalogue);
      case 15:
        return commands.wrap(graph, [one(), one()], commands.blank('stage'), catalogue);
      case 16:
        return commands.resize(graph, one(), { x: 0, y: 0, width: 100 * pick(9), height: 400 }, catalogue);
      case 17:
        return commands.patchNode(graph, one(), { steps: [] });
      case 11:
        return commands.patchEdge(graph, edge(), { when: `${pick(9)} > 4`, default: pick(2) === 0 ? true : undefined });
      default: {
        const text = copy(graph, [one(), one()], catalogue);
        return text ? paste(graph, text) : { ok: false, reason: 'nothing-to-paste' };
      }
    }
  }
  it.each(Array.from({ length: 40 }, (_, seed) => seed + 1))('undoes everything and does it again, seed %i', (seed) => {
    const pick = random(seed);
    let line = history.begin(template('saga', 'k', 'K'));
    const before = canonical(line.present);
    for (let step = 0; step < 60; step += 1) {
      const edit = randomEdit(line.present, pick);
      if (edit.ok) line = history.commit(line, edit.graph, 'edit', pick(4) === 0 ? 'typing' : null);
      for (const one of line.present.edges)
        expect(line.present.nodes[one.from] && line.present.nodes[one.to], 'an edge dangles').toBeTruthy();
      for (const one of line.present.edges)
        expect(crosses(line.present, one.from, one.to), `${one.from}>${one.to} leaves its container`).toBe(false);
      for (const [id, box] of Object.entries(boxes(line.present, catalogue)))
        expect(Number.isFinite(box.x + box.y + box.width + box.height), `${id} has a box`).toBe(true);
    }
    const done = canonical(line.present);
    while (line.past.length > 0) line = history.undo(line);
    expect(canonical(line.present)).toBe(before);
    while (line.future.length > 0) line = history.redo(line);
    expect(canonical(line.present)).toBe(done);
  });
});
