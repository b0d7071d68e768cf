// Drafts: loaded, kept in step with the server, never lost. Dirty is a comparison of hashes; every save names the
// revision it was made on; a refused save keeps both versions until the person has chosen.
import { ApiError, api } from '../api/client';
import type { Problem } from '../api/shapes';
import { readGraph } from '../graph/document';
import { meaning, whole } from '../graph/hash';
import { go } from '../shell/router.svelte';
import type { Editor } from './editor.svelte';
import * as journal from './journal';

export type SaveState = 'saved' | 'dirty' | 'saving' | 'failed' | 'conflict';

const SAVE_AFTER_MS = 1000;
const KEEP_AFTER_MS = 250;

export class Saving {
  revision = $state<string | null>(null);
  savedHash = $state('');
  publishedMeaning = $state<string | null>(null);
  latestVersion = $state<number | null>(null);
  busy = $state(false);
  failed = $state('');
  conflict = $state.raw<{ document: unknown; revision: string } | null>(null);
  restored = $state(false);
  /** The hash of what this machine keeps until the server has it; empty when it keeps nothing. */
  #keptHash = $state('');
  #timer: ReturnType<typeof setTimeout> | undefined;
  #keepTimer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<boolean> | null = null;

  constructor(
    readonly key: string,
    readonly editor: Editor,
    readonly onproblems: (problems: Problem[]) => void,
  ) {}

  dirty = $derived.by(() => this.editor.hash !== this.savedHash);
  state = $derived.by((): SaveState => {
    if (this.conflict) return 'conflict';
    if (this.busy) return 'saving';
    if (this.failed) return 'failed';
    return this.dirty ? 'dirty' : 'saved';
  });
  /** What the canvas shows outlives this window, though the server does not have it. */
  kept = $derived.by(() => this.dirty && this.#keptHash === this.editor.hash);
  /** The drawing says something the latest version does not. */
  differs = $derived.by(() => this.publishedMeaning === null || meaning(this.editor.graph) !== this.publishedMeaning);

  async load(): Promise<void> {
    const flow = await api.flow(this.key);
    this.latestVersion = flow.latestVersion;
    const newest = flow.latestVersion === null ? null : await api.version(this.key, flow.latestVersion);
    // Its graph is a template's, or it is one: it has a page of its own.
    if (newest?.source) return this.#elsewhere();
    const published = newest === null ? null : newest.document;
    this.publishedMeaning = published === null ? null : meaning(readGraph(published));
    let document: unknown = published;
    this.revision = null;
    try {
      const draft = await api.draft(this.key);
      document = draft.document;
      if ((document as { extends?: string }).extends) return this.#elsewhere();
      this.revision = String(draft.revision);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
    this.editor.open(document);
    this.savedHash = whole(this.editor.graph);
    await this.#restore();
  }

  #left = false;

  /** To the page of templates; nothing is opened here, so nothing is saved. */
  #elsewhere(): Promise<never> {
    this.#left = true;
    go(`/flows/${encodeURIComponent(this.key)}/slots${location.search}`, { replace: true });
    return new Promise(() => {});
  }

  /** Brings back what an earlier window could not save. */
  async #restore(): Promise<void> {
    const unsaved = await journal.kept(this.key);
    if (!unsaved) return;
    const mine = readGraph(unsaved.document);
    if (whole(mine) === this.savedHash) {
      await journal.forget(this.key);
      return;
    }
    const theirs = { document: this.editor.graph, revision: this.revision ?? '' };
    this.editor.apply('restore', { ok: true, graph: mine });
    this.restored = true;
    if (unsaved.revision !== this.revision && this.revision !== null) this.conflict = theirs;
  }

  /** Called on every change of the drawing. */
  touched(): void {
    clearTimeout(this.#timer);
    if (!this.dirty || this.editor.readonly) return;
    // Not put off by further typing: what is lost in a crash has a bound.
    this.#keepTimer ??= setTimeout(() => this.#keep(), KEEP_AFTER_MS);
    if (!this.conflict) this.#timer = setTimeout(() => this.save(), SAVE_AFTER_MS);
  }

  async #keep(): Promise<void> {
    this.#keepTimer = undefined;
    const { graph: document, hash } = this.editor;
    if (!this.dirty) return;
    if (await journal.keep({ key: this.key, document, revision: this.revision, at: Date.now() })) this.#keptHash = hash;
  }

  /** Saves now. True once the server has what the canvas shows. */
  async save(): Promise<boolean> {
    clearTimeout(this.#timer);
    while (this.#running) await this.#running;
    if (this.conflict || this.#left) return false;
    if (!this.dirty && this.revision !== null) return true;
    this.#running = this.#put().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #put(): Promise<boolean> {
    const graph = this.editor.graph;
    const hash = this.editor.hash;
    this.busy = true;
    try {
      const saved = await api.saveDraft(this.key, graph, this.revision);
      this.revision = String(saved.revision);
      this.savedHash = hash;
      this.failed = '';
      this.onproblems(saved.problems);
      if (this.editor.hash === hash) {
        clearTimeout(this.#keepTimer);
        this.#keepTimer = undefined;
        this.#keptHash = '';
        await journal.forget(this.key);
      }
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) {
        const current = error.body.current as { document: unknown; revision: string | number } | undefined;
        const other = current ?? (await api.draft(this.key));
        this.conflict = { document: other.document, revision: String(other.revision) };
      } else {
        this.failed = error instanceof Error ? error.message : String(error);
        this.#timer = setTimeout(() => this.save(), 5 * SAVE_AFTER_MS);
      }
      return false;
    } finally {
      this.busy = false;
    }
  }

  /** Ends a conflict: the chosen document is written over the other side's revision. */
  async resolve(document: unknown): Promise<boolean> {
    const { conflict } = this;
    if (!conflict) return true;
    this.revision = conflict.revision === '' ? null : conflict.revision;
    this.savedHash = whole(readGraph(conflict.document));
    this.conflict = null;
    this.editor.apply('resolve', { ok: true, graph: readGraph(document) });
    return this.save();
  }

  /** After a publish: the drawing is now the latest version. */
  published(version: number): void {
    this.latestVersion = version;
    this.publishedMeaning = meaning(this.editor.graph);
  }

  stop(): void {
    clearTimeout(this.#timer);
    if (this.dirty && !this.conflict) void this.save();
  }
}
