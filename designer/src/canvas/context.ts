// What the drawn nodes and edges may ask of the canvas around them.
import { getContext, setContext } from 'svelte';
import type { NodeRun, Problem, Token } from '../api/shapes';
import type { FlowNode, NodeId } from '../graph/document';
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
  undo: boolean;
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

export interface EdgeData extends Record<string, unknown> {
  text: string;
  kind: 'plain' | 'condition' | 'default' | 'port' | 'error' | 'timeout';
  missing: boolean;
  travelled: boolean;
  dim: boolean;
}

export interface CanvasActions {
  readonly: boolean;
  addOnEdge(edge: string, at: { x: number; y: number }): void;
  addAfter(node: NodeId, port: string | undefined, at: { x: number; y: number }): void;
  nodeKey(node: NodeId, event: KeyboardEvent): void;
  nodeFocus(node: NodeId): void;
}

const KEY = Symbol('canvas');
export const provideCanvas = (actions: CanvasActions): CanvasActions => setContext(KEY, actions);
export const useCanvas = (): CanvasActions => getContext<CanvasActions>(KEY);
