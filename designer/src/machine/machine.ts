// A machine's document as the console reads it, and what is drawn of it: plain functions over plain data.
// Imports nothing of ours but the document's types.
import type { FlowNode, Graph, Place, Title, Value } from '../graph/document';

export interface MachineState {
  code: string;
  title?: Title;
  service?: string;
  priority?: number;
  order?: number;
  terminal?: boolean;
  notes?: string;
  [more: string]: unknown;
}

export interface NextCase {
  port?: string;
  when?: string;
  to?: string;
  exit?: boolean;
}

export interface MachineAction {
  name: string;
  title?: Title;
  states: string[];
  priority?: number;
  guard?: string;
  manual?: boolean;
  after?: string;
  on?: { message: string; key: string };
  run?: FlowNode;
  each?: Value;
  next?: string | NextCase[];
  exit?: boolean;
  [more: string]: unknown;
}

export interface Machine {
  stepwell: number;
  kind: 'machine';
  key: string;
  title?: Title;
  initial: string;
  states: MachineState[];
  actions: MachineAction[];
  layout?: Record<string, Place>;
  [more: string]: unknown;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isMachine = (document: unknown): boolean => isObject(document) && document.kind === 'machine';

/** Whatever the server says, with a pool and actions in it. */
export function readMachine(value: unknown): Machine {
  const source = isObject(value) ? value : {};
  const list = (field: unknown): Record<string, unknown>[] => (Array.isArray(field) ? field.filter(isObject) : []);
  const states = list(source.states).map((state) => ({ ...state, code: String(state.code ?? '') }));
  const actions = list(source.actions).map((action) => ({
    ...action,
    name: String(action.name ?? ''),
    states: Array.isArray(action.states) ? action.states.map(String) : [],
  }));
  return {
    ...source,
    stepwell: 1,
    kind: 'machine',
    key: String(source.key ?? ''),
    initial: String(source.initial ?? ''),
    states,
    actions,
  } as Machine;
}

/** The states an action leads to; none: the state stays. */
export function targets(action: MachineAction): string[] {
  if (typeof action.next === 'string') return [action.next];
  const named = (action.next ?? []).flatMap((one) => (one.to === undefined ? [] : [one.to]));
  return [...new Set(named)];
}

export type Trigger = 'itself' | 'asked' | 'after' | 'message';

export function triggerOf(action: MachineAction): Trigger {
  if (action.manual) return 'asked';
  if (action.after !== undefined) return 'after';
  return action.on ? 'message' : 'itself';
}

/** Of one state, in the order they are looked at; of all, where none is named. */
export function actionsOf(machine: Machine, state: string | null): MachineAction[] {
  const own = machine.actions.filter((action) => state === null || action.states.includes(state));
  return own
    .map((action, at) => ({ action, at }))
    .sort((a, b) => (a.action.priority ?? 0) - (b.action.priority ?? 0) || a.at - b.at)
    .map(({ action }) => action);
}

export interface Arrow {
  from: string;
  to: string;
  actions: string[];
}

/** One arrow between two states, with all the actions that lead along it. */
export function arrows(machine: Machine): Arrow[] {
  const known = new Set(machine.states.map((state) => state.code));
  const all = new Map<string, Arrow>();
  for (const action of machine.actions) {
    for (const from of action.states) {
      for (const to of targets(action)) {
        if (from === to || !known.has(from) || !known.has(to)) continue;
        const arrow = all.get(`${from} ${to}`) ?? { from, to, actions: [] };
        arrow.actions.push(action.name);
        all.set(`${from} ${to}`, arrow);
      }
    }
  }
  return [...all.values()];
}

export const BOX = { width: 148, height: 58 };
const GAP = { x: 92, y: 44 };

/** Where each state is drawn: where its author put it, else in columns by how far it is from the first. */
export function places(machine: Machine): Record<string, { x: number; y: number }> {
  const at: Record<string, { x: number; y: number }> = {};
  const first = machine.states.some((state) => state.code === machine.initial)
    ? machine.initial
    : machine.states[0]?.code;
  const depth = new Map<string, number>(first === undefined ? [] : [[first, 0]]);
  const open = first === undefined ? [] : [first];
  const ways = arrows(machine);
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    for (const { to } of ways.filter((way) => way.from === next)) {
      if (depth.has(to)) continue;
      depth.set(to, (depth.get(next) ?? 0) + 1);
      open.push(to);
    }
  }
  const rows: number[] = [];
  for (const { code } of machine.states) {
    const own = machine.layout?.[code];
    const column = depth.get(code) ?? 0;
    const row = rows[column] ?? 0;
    rows[column] = row + 1;
    at[code] = own ? { x: own.x, y: own.y } : { x: column * (BOX.width + GAP.x), y: row * (BOX.height + GAP.y) };
  }
  return at;
}

/** The graph that a machine is run as, so that what shows an instance of a flow shows one of a machine. */
export function asGraph(machine: Machine): Graph {
  const nodes: Record<string, FlowNode> = {
    start: { type: 'start' },
    evaluate: { type: 'exclusive', title: machine.title },
    end: { type: 'end' },
  };
  for (const action of machine.actions) {
    nodes[action.name] = { type: 'set', ...action.run, ...(action.title === undefined ? {} : { title: action.title }) };
  }
  const { states: _states, actions: _actions, layout: _layout, ...rest } = machine;
  return { ...rest, nodes, edges: [] } as unknown as Graph;
}

/** A new row of the pool, under a code that is free. */
export function withState(machine: Machine): Machine {
  const taken = new Set(machine.states.map((state) => state.code));
  let number = machine.states.length + 1;
  while (taken.has(`STATE_${number}`)) number += 1;
  return { ...machine, states: [...machine.states, { code: `STATE_${number}` }] };
}

/** The pool without one row; actions do not name it any more. */
export function withoutState(machine: Machine, code: string): Machine {
  const { [code]: _gone, ...layout } = machine.layout ?? {};
  return {
    ...machine,
    states: machine.states.filter((state) => state.code !== code),
    actions: machine.actions.map((action) => ({ ...action, states: action.states.filter((one) => one !== code) })),
    ...(machine.layout ? { layout } : {}),
  };
}

/** One field of a row. An emptied one is left out; a new code is taken over wherever the old one stood. */
export function setState(machine: Machine, code: string, field: string, value: unknown): Machine {
  const states = machine.states.map((state) => {
    if (state.code !== code) return state;
    const { [field]: _old, ...rest } = state;
    const empty = value === undefined || value === '' || value === false || value === null;
    return (empty && field !== 'code' ? rest : { ...rest, [field]: value }) as MachineState;
  });
  if (field !== 'code') return { ...machine, states };
  const to = String(value);
  const renamed = (one: string) => (one === code ? to : one);
  const next = (of: MachineAction['next']) =>
    typeof of === 'string'
      ? renamed(of)
      : of?.map((one) => (one.to === undefined ? one : { ...one, to: renamed(one.to) }));
  const actions = machine.actions.map((action) => ({
    ...action,
    states: action.states.map(renamed),
    ...(action.next === undefined ? {} : { next: next(action.next) }),
  }));
  const layout = Object.fromEntries(Object.entries(machine.layout ?? {}).map(([one, place]) => [renamed(one), place]));
  return { ...machine, initial: renamed(machine.initial), states, actions, ...(machine.layout ? { layout } : {}) };
}

/** One field of an action. */
export function setAction(machine: Machine, name: string, fields: Partial<MachineAction>): Machine {
  const actions = machine.actions.map((action) => (action.name === name ? { ...action, ...fields } : action));
  return { ...machine, actions };
}

/** The title in one language, as the pool's grid edits it; a plain text stands for every language. */
export function titleIn(title: Title | undefined, language: 'en' | 'zh-CN'): string {
  return typeof title === 'string' ? title : (title?.[language] ?? '');
}

export function withTitle(title: Title | undefined, language: 'en' | 'zh-CN', text: string): Title | undefined {
  const all: Exclude<Title, string> = typeof title === 'string' ? { en: title } : { ...title };
  if (text === '') delete all[language];
  else all[language] = text;
  return Object.keys(all).length === 0 ? undefined : all;
}

/** What a new machine begins with. */
export function firstMachine(key: string, title: Title): Machine {
  return {
    stepwell: 1,
    kind: 'machine',
    key,
    title,
    initial: 'NEW',
    states: [
      { code: 'NEW', title: { en: 'New', 'zh-CN': '新建' }, priority: 0, order: 10 },
      { code: 'DONE', title: { en: 'Done', 'zh-CN': '已完成' }, order: 90, terminal: true },
    ],
    actions: [
      {
        name: 'finish',
        title: { en: 'Finish', 'zh-CN': '完成' },
        states: ['NEW'],
        priority: 0,
        manual: true,
        next: 'DONE',
      },
    ],
  };
}

/** Its states and the ways between them, for drawings that show flows. */
export function stateGraph(machine: Machine): Graph {
  const at = places(machine);
  const nodes = Object.fromEntries(
    machine.states.map(({ code, terminal }) => [code, { type: terminal ? 'end' : 'set' } as FlowNode]),
  );
  const edges = arrows(machine).map(({ from, to }) => ({ from, to }));
  return { stepwell: 1, kind: 'graph', key: machine.key, nodes, edges, layout: at } as unknown as Graph;
}
