// One open flow: its document with history, what is selected, what the checker says. Knows nothing of pixels or
// requests; the page wires it to the canvas, the inspector and the store of drafts.
import type { NodeType, Problem } from '../api/shapes';
import * as clipboard from '../graph/clipboard';
import type { Edit, Reason } from '../graph/commands';
import * as commands from '../graph/commands';
import { around, hidden, isContainer, parentOf } from '../graph/containers';
import { edgeId, type FlowNode, type Graph, type NodeId, type Point, readGraph } from '../graph/document';
import { unclutter } from '../graph/frames';
import { whole } from '../graph/hash';
import * as history from '../graph/history';
import { flowOrder } from '../graph/order';
import { catalogue, nodeTitle } from './catalogue.svelte';

export interface Selection {
  nodes: NodeId[];
  edges: string[];
}

export class Editor {
  #history = $state.raw(history.begin(readGraph({})));
  selection = $state.raw<Selection>({ nodes: [], edges: [] });
  /** Where the keyboard stands; the one node in the tab order. */
  focused = $state<NodeId | null>(null);
  problems = $state.raw<Problem[]>([]);
  readonly = $state(false);

  graph = $derived(this.#history.present);
  order = $derived(flowOrder(this.graph));
  canUndo = $derived(this.#history.past.length > 0);
  canRedo = $derived(this.#history.future.length > 0);
  hash = $derived(whole(this.graph));

  problemsByNode = $derived.by(() => {
    const map = new Map<NodeId, Problem[]>();
    for (const problem of this.problems) {
      const id = nodeOf(problem, this.graph);
      if (id) map.set(id, [...(map.get(id) ?? []), problem]);
    }
    return map;
  });

  /** The single selected node or edge, if there is exactly one. */
  current = $derived.by((): { node: NodeId } | { edge: string } | null => {
    const { nodes, edges } = this.selection;
    const [node] = nodes;
    const [edge] = edges;
    if (nodes.length === 1 && edges.length === 0 && node && this.graph.nodes[node]) return { node };
    if (edges.length === 1 && nodes.length === 0 && edge) return { edge };
    return null;
  });

  open(document: unknown): void {
    this.#history = history.begin(unclutter(readGraph(document), catalogue.get));
    this.selection = { nodes: [], edges: [] };
    this.focused = this.order[0] ?? null;
  }

  /** Takes an edit into the history. Answers the reason if it was refused. */
  apply(label: string, edit: Edit, merge: string | null = null): Reason | null {
    if (this.readonly) return 'nothing-changed';
    if (!edit.ok) return edit.reason;
    this.#history = history.commit(this.#history, edit.graph, label, merge);
    if (edit.added && edit.added.length > 0) this.select(edit.added);
    else this.#prune();
    return null;
  }

  /** Opens or shuts a container: an edit, but where nothing is edited only another view. */
  toggle(id: NodeId): void {
    const shut = this.graph.layout?.[id]?.collapsed === true;
    const edit = commands.collapse(this.graph, id, !shut, catalogue.get);
    if (!this.readonly) this.apply(shut ? 'expand' : 'collapse', edit);
    else if (edit.ok) this.#history = history.begin(edit.graph);
    const unseen = hidden(this.graph);
    if (this.focused && unseen.has(this.focused)) this.focused = id;
    if (this.selection.nodes.some((one) => unseen.has(one))) this.select([id]);
  }

  /** Opens what a node is in, so that it can be seen. */
  show(id: NodeId): void {
    for (const container of around(this.graph, id).reverse())
      if (this.graph.layout?.[container]?.collapsed) this.toggle(container);
  }

  undo(): string | null {
    const label = this.#history.past.at(-1)?.label ?? null;
    this.#history = history.undo(this.#history);
    this.#prune();
    return label;
  }

  redo(): string | null {
    const label = this.#history.future[0]?.label ?? null;
    this.#history = history.redo(this.#history);
    this.#prune();
    return label;
  }

  /** The next edit starts an entry of its own. */
  seal(): void {
    this.#history = history.seal(this.#history);
  }

  select(nodes: NodeId[], edges: string[] = []): void {
    const same = nodes.join() === this.selection.nodes.join() && edges.join() === this.selection.edges.join();
    if (!same) {
      this.selection = { nodes, edges };
      this.seal();
    }
    if (nodes.length === 1) this.focused = nodes[0] ?? null;
  }

  selectAll(): void {
    const unseen = hidden(this.graph);
    this.select(
      Object.keys(this.graph.nodes).filter((id) => !unseen.has(id)),
      this.graph.edges.map(edgeId),
    );
  }

  removeSelection(): Reason | null {
    const next = this.#neighbour();
    const refused = this.apply('delete', commands.remove(this.graph, this.selection.nodes, this.selection.edges));
    if (!refused) {
      this.selection = { nodes: [], edges: [] };
      this.focused = next;
    }
    return refused;
  }

  copy(): string | null {
    return clipboard.copy(this.graph, this.selection.nodes, catalogue.get);
  }

  paste(text: string, at?: Point): Reason | null {
    return this.apply('paste', clipboard.paste(this.graph, text, at, this.#pasteInto(text)));
  }

  /** Into the selected container, unless it is what was copied; else beside what is selected. */
  #pasteInto(text: string): NodeId | undefined {
    const [only] = this.selection.nodes;
    if (
      this.selection.nodes.length === 1 &&
      only &&
      isContainer(this.graph.nodes[only]) &&
      !text.includes(`"${only}": {`)
    )
      return only;
    const levels = new Set(this.selection.nodes.map((id) => parentOf(this.graph, id)));
    return levels.size === 1 ? [...levels][0] : undefined;
  }

  title(id: NodeId): string {
    const node = this.graph.nodes[id];
    return node ? nodeTitle(id, node) : id;
  }

  type(node: FlowNode | undefined): NodeType | undefined {
    return node?.uses ? catalogue.get(node.uses) : undefined;
  }

  /** Where the keyboard goes when the selection is deleted: what came before it. */
  #neighbour(): NodeId | null {
    const gone = new Set(this.selection.nodes);
    const at = this.order.findIndex((id) => gone.has(id));
    const before = this.order.slice(0, Math.max(at, 0)).findLast((id) => !gone.has(id));
    return before ?? this.order.find((id) => !gone.has(id)) ?? null;
  }

  #prune(): void {
    const nodes = this.selection.nodes.filter((id) => this.graph.nodes[id]);
    const known = new Set(this.graph.edges.map(edgeId));
    const edges = this.selection.edges.filter((id) => known.has(id));
    if (nodes.length !== this.selection.nodes.length || edges.length !== this.selection.edges.length)
      this.selection = { nodes, edges };
    if (this.focused === null || !this.graph.nodes[this.focused]) this.focused = this.order[0] ?? null;
  }
}

/** The node a problem belongs to: named, or read from its pointer. */
export function nodeOf(problem: Problem, graph: Graph): NodeId | null {
  if (problem.node && graph.nodes[problem.node]) return problem.node;
  const [, where, what] = problem.pointer.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (where === 'nodes' && what && graph.nodes[what]) return what;
  if (where === 'edges' && what) return graph.edges[Number(what)]?.from ?? null;
  return null;
}
