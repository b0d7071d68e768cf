import { describe, expect, it } from 'vitest';
import {
  actionsOf,
  arrows,
  asGraph,
  firstMachine,
  type Machine,
  places,
  readMachine,
  setState,
  stateGraph,
  targets,
  titleIn,
  triggerOf,
  withoutState,
  withState,
  withTitle,
} from './machine';

const machine: Machine = readMachine({
  stepwell: 1,
  kind: 'machine',
  key: 'm',
  initial: 'NEW',
  states: [{ code: 'NEW', title: { en: 'New' } }, { code: 'HELD' }, { code: 'DONE', terminal: true }],
  actions: [
    { name: 'late', states: ['NEW'], priority: 5, after: '30m' },
    { name: 'hold', states: ['NEW'], next: 'HELD', run: { type: 'task', uses: 'a/b@1' } },
    {
      name: 'back',
      states: ['HELD'],
      priority: 1,
      on: { message: 'm', key: 'k' },
      next: [{ port: 'no', to: 'NEW' }, { to: 'NEW' }, { exit: true }],
    },
    { name: 'finish', states: ['NEW', 'HELD'], priority: 2, manual: true, next: 'DONE' },
  ],
  layout: { NEW: { x: 7, y: 9 } },
});

describe('a machine', () => {
  it('is read from whatever there is', () => {
    expect(readMachine(null)).toMatchObject({ key: '', states: [], actions: [] });
    expect(readMachine({ states: [{}, 3], actions: [{ name: 'a' }] })).toMatchObject({
      states: [{ code: '' }],
      actions: [{ name: 'a', states: [] }],
    });
  });

  it('shows its actions as they are looked at', () => {
    expect(actionsOf(machine, 'NEW').map((one) => one.name)).toEqual(['hold', 'finish', 'late']);
    expect(actionsOf(machine, null).map((one) => one.name)).toEqual(['hold', 'back', 'finish', 'late']);
    expect(machine.actions.map(triggerOf)).toEqual(['after', 'itself', 'message', 'asked']);
    expect(machine.actions.map(targets)).toEqual([[], ['HELD'], ['NEW'], ['DONE']]);
  });

  it('is drawn with one arrow between two states', () => {
    expect(arrows(machine)).toEqual([
      { from: 'NEW', to: 'HELD', actions: ['hold'] },
      { from: 'HELD', to: 'NEW', actions: ['back'] },
      { from: 'NEW', to: 'DONE', actions: ['finish'] },
      { from: 'HELD', to: 'DONE', actions: ['finish'] },
    ]);
    const at = places(machine);
    expect(at.NEW).toEqual({ x: 7, y: 9 });
    expect(at.HELD?.x).toBe(at.DONE?.x);
    expect(at.HELD?.y).not.toBe(at.DONE?.y);
  });

  it('stands for a graph of its actions', () => {
    const graph = asGraph(machine);
    expect(Object.keys(graph.nodes)).toEqual(['start', 'evaluate', 'end', 'late', 'hold', 'back', 'finish']);
    expect(graph.nodes.hold).toMatchObject({ type: 'task', uses: 'a/b@1' });
    expect(graph).not.toHaveProperty('layout');
  });

  it('is drawn small like a flow', () => {
    const graph = stateGraph(machine);
    expect(Object.keys(graph.nodes)).toEqual(['NEW', 'HELD', 'DONE']);
    expect(graph.edges).toHaveLength(4);
    expect(arrows(firstMachine('k', 'K'))).toEqual([{ from: 'NEW', to: 'DONE', actions: ['finish'] }]);
  });

  it('takes a new code over wherever the old one stood', () => {
    const next = setState(machine, 'NEW', 'code', 'OS0000');
    expect(next.initial).toBe('OS0000');
    expect(next.states[0]?.code).toBe('OS0000');
    expect(next.actions[0]?.states).toEqual(['OS0000']);
    expect(next.actions[2]?.next).toEqual([{ port: 'no', to: 'OS0000' }, { to: 'OS0000' }, { exit: true }]);
    expect(next.layout).toEqual({ OS0000: { x: 7, y: 9 } });
  });

  it('leaves out what is emptied', () => {
    const held = setState(machine, 'HELD', 'priority', 3);
    expect(held.states[1]).toEqual({ code: 'HELD', priority: 3 });
    expect(setState(held, 'HELD', 'priority', undefined).states[1]).toEqual({ code: 'HELD' });
    expect(setState(machine, 'DONE', 'terminal', false).states[2]).toEqual({ code: 'DONE' });
  });

  it('grows and shrinks', () => {
    expect(withState(machine).states.at(-1)).toEqual({ code: 'STATE_4' });
    const without = withoutState(machine, 'NEW');
    expect(without.states.map((one) => one.code)).toEqual(['HELD', 'DONE']);
    expect(without.actions[3]?.states).toEqual(['HELD']);
    expect(without.layout).toEqual({});
  });

  it('has a title per language', () => {
    expect(titleIn('x', 'en')).toBe('x');
    expect(withTitle('x', 'zh-CN', '新')).toEqual({ en: 'x', 'zh-CN': '新' });
    expect(withTitle({ en: 'x' }, 'en', '')).toBeUndefined();
  });
});
