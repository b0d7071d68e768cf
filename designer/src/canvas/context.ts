// What the drawn nodes and edges may ask of the canvas around them.
import { getContext, setContext } from 'svelte';
import type { NodeRun, Problem, Token } from '../api/shapes';
import type { FlowNode, NodeId } from '../graph/document';
import type { Box } from '../graph/layout';
import type { Port } from '../graph/ports';
import type { IconName } from '../shell/icons';

export interface NodeData extends Record<string, unknown> {
  node: FlowNode;
  title: string;
  subtitle: string;
  icon: IconName;
  svg?: string;
  effect?: 'pure' | 'recorded' | 'transactional' | 'external';
  ports: (Port & { free: boolean; text: string })[];
  /** Where it stands on the canvas itself, whatever it is in. */
  box: Box;
  /** Of a container: how many nodes are in it. */
  holds: number | null;
  collapsed: boolean;
  /** Of a step of a stage: its turn, and whether later ones wait for it. */
  step: { turn: number; sync: boolean; optional: boolean } | null;
  /** Of a for-each that runs: how its items stand. */
  items: Items | null;
  undo: boolean;
  /** What is listened for, in words; empty where nothing is. */
  heard: string;
  missing: boolean;
  problems: Problem[];
  run?: NodeRun;
  tokens: Token[];
  dim: boolean;
  tabstop: boolean;
  /** For screen readers: everything, and what the card's own words leave out. */
  label: string;
  status: string;
}

/** How the items of a for-each stand. `all` is null while it is not known. */
export interface Items {
  done: number;
  running: number;
  waiting: number;
  failed: number;
  all: number | null;
}

export interface EdgeData extends Record<string, unknown> {
  text: string;
  kind: 'plain' | 'condition' | 'default' | 'port' | 'error' | 'timeout' | 'message';
  /** From a handler that lets its node go on. */
  beside: boolean;
  missing: boolean;
  travelled: boolean;
  dim: boolean;
}

export interface CanvasActions {
  readonly: boolean;
  /** The frame that what is being dragged would go into. */
  readonly dropInto: NodeId | null;
  addInside(container: NodeId, at: { x: number; y: number }): void;
  toggle(container: NodeId): void;
  resize(container: NodeId, box: Box): void;
  addOnEdge(edge: string, at: { x: number; y: number }): void;
  addAfter(node: NodeId, port: string | undefined, at: { x: number; y: number }): void;
  /** Into the flow that a call runs. */
  enter(call: NodeId): void;
  nodeKey(node: NodeId, event: KeyboardEvent): void;
  nodeFocus(node: NodeId): void;
}

const KEY = Symbol('canvas');
export const provideCanvas = (actions: CanvasActions): CanvasActions => setContext(KEY, actions);
export const useCanvas = (): CanvasActions => getContext<CanvasActions>(KEY);
