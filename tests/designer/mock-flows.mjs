// The stand-in engine's flows: drafts, versions, audit and the feed of events.
import { createHash } from 'node:crypto';
import { refuse } from './mock.mjs';
import { bindings, routes } from './mock-bindings.mjs';
import { People } from './mock-users.mjs';

const iso = (ms) => new Date(ms).toISOString();

export class Flows {
  people = new People();
  flows = new Map();
  instances = new Map();
  audit = [];
  bindings = bindings();
  routes = routes();
  faults = new Map();
  onEvent = () => {};
  #events = 0;
  timers = new Set();
  #startedAt = Date.now();

  constructor({ speed, nodeTypes, plugins }) {
    this.speed = speed;
    this.nodeTypes = nodeTypes;
    this.plugins = plugins;
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
  }

  emit(name, data) {
    this.#events += 1;
    this.onEvent({ id: this.#events, name, data });
  }

  note(action, target, detail) {
    this.audit.push({ at: iso(Date.now()), who: 'admin', action, target, detail });
  }

  hash(document) {
    const { layout: _, ...meaning } = document ?? {};
    return createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
  }

  counts(filter) {
    const counts = {};
    for (const instance of this.instances.values()) {
      if (filter(instance)) counts[instance.state] = (counts[instance.state] ?? 0) + 1;
    }
    return counts;
  }

  status() {
    return {
      version: '0.1.0',
      engine: 'mock',
      startedAt: iso(this.#startedAt),
      store: 'memory',
      schema: 1,
      counts: this.counts(() => true),
    };
  }

  // Flows

  needFlow(key) {
    const flow = this.flows.get(key);
    if (!flow) throw refuse(404, 'FLOW_NOT_FOUND', `There is no flow “${key}”`);
    return flow;
  }

  summary(key) {
    const flow = this.needFlow(key);
    const latest = flow.versions.at(-1);
    const shown = flow.draft?.document ?? latest.document;
    return {
      key,
      title: shown.title ?? key,
      kind: shown.kind ?? 'graph',
      latestVersion: latest?.version ?? null,
      hasDraft: flow.draft !== null,
      hasBinding: this.bindings.has(key),
      draftDiffers: flow.draft !== null && (!latest || this.hash(flow.draft.document) !== latest.hash),
      updatedAt: flow.updatedAt,
      counts: this.counts((instance) => instance.flow === key),
    };
  }

  flowList() {
    return [...this.flows.keys()].map((key) => this.summary(key)).sort((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1));
  }

  flowDetail(key) {
    const versions = this.needFlow(key).versions.map(({ document: _, ...version }) => ({
      ...version,
      counts: this.counts((instance) => instance.flow === key && instance.version === version.version),
    }));
    return { ...this.summary(key), versions: versions.reverse() };
  }

  version(key, number) {
    const found = this.needFlow(key).versions.find((version) => version.version === number);
    if (!found) throw refuse(404, 'NO_VERSION', `“${key}” has no version ${number}`);
    return { key, digests: {}, ...found };
  }

  draft(key) {
    const { draft } = this.needFlow(key);
    if (!draft) throw refuse(404, 'NO_DRAFT', `“${key}” has no draft`);
    return draft;
  }

  saveDraft(key, document, match) {
    const flow = this.flows.get(key) ?? { versions: [], draft: null, updatedAt: iso(Date.now()) };
    if (flow.draft && flow.draft.revision !== match)
      throw refuse(409, 'DRAFT_CONFLICT', 'Someone else saved in between', {
        current: { document: flow.draft.document, revision: flow.draft.revision },
      });
    flow.draft = {
      document,
      revision: String(Number(flow.draft?.revision ?? 0) + 1),
      updatedAt: iso(Date.now()),
      baseVersion: flow.versions.at(-1)?.version ?? null,
    };
    flow.updatedAt = flow.draft.updatedAt;
    this.flows.set(key, flow);
    this.emit('flow', { key, kind: 'draft' });
    return { revision: flow.draft.revision, updatedAt: flow.draft.updatedAt };
  }

  dropDraft(key) {
    this.needFlow(key).draft = null;
    this.note('draft.drop', key);
  }

  publish(document, { by, label }) {
    const key = document.key;
    const flow = this.flows.get(key) ?? { versions: [], draft: null, updatedAt: '' };
    const hash = this.hash(document);
    const latest = flow.versions.at(-1);
    if (latest?.hash === hash) return { key, version: latest.version, hash, again: true };
    const version = {
      version: (latest?.version ?? 0) + 1,
      label: label ?? null,
      hash,
      publishedAt: iso(Date.now()),
      publishedBy: by,
      document,
    };
    flow.versions.push(version);
    flow.updatedAt = version.publishedAt;
    this.flows.set(key, flow);
    this.note('flow.publish', `${key}@${version.version}`);
    this.emit('flow', { key, kind: 'published', version: version.version });
    return { key, version: version.version, hash };
  }
}
