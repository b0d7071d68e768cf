// The stand-in engine's memory and its interpreter: enough of the semantics to watch a saga run, fail and be undone.
import { createHash, randomUUID } from 'node:crypto';
import { refuse } from './mock.mjs';
import { bindings, routes } from './mock-bindings.mjs';

const OVER = new Set(['completed', 'failed', 'compensated', 'cancelled']);
const STATES = [
  'running',
  'waiting',
  'incident',
  'suspended',
  'compensating',
  'completed',
  'failed',
  'compensated',
  'cancelled',
];
const iso = (ms) => new Date(ms).toISOString();

export class Engine {
  session = { user: 'admin', roles: ['admin'] };
  flows = new Map();
  instances = new Map();
  audit = [];
  bindings = bindings();
  routes = routes();
  faults = new Map();
  onEvent = () => {};
  #events = 0;
  #timers = new Set();
  #startedAt = Date.now();

  constructor({ speed, nodeTypes, plugins }) {
    this.speed = speed;
    this.nodeTypes = nodeTypes;
    this.plugins = plugins;
  }

  stop() {
    for (const timer of this.#timers) clearTimeout(timer);
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

  // Instances

  need(id) {
    const instance = this.instances.get(id);
    if (!instance) throw refuse(404, 'INSTANCE_NOT_FOUND', 'There is no such instance');
    return instance;
  }

  view(instance) {
    const { id, flow, version, businessKey, state, priority, startedAt, updatedAt, endedAt, error } = instance;
    return { id, flow, version, businessKey, state, priority, startedAt, updatedAt, endedAt, error };
  }

  instance(id) {
    const instance = this.need(id);
    const { input, output, reply, vars, tokens, nodes, document, seq } = instance;
    return {
      ...this.view(instance),
      input,
      output,
      reply,
      vars,
      tokens,
      nodes,
      document,
      seq,
      undoPlan: instance.undo.map(({ node, visit }) => ({ node, visit })).reverse(),
    };
  }

  find({ flow, state, businessKey, q, node, version, limit = 50, cursor = 0 }) {
    if (state && !STATES.includes(state)) throw refuse(400, 'QUERY_INVALID', 'A query parameter is not understood');
    const all = [...this.instances.values()]
      .filter(
        (instance) =>
          (!flow || instance.flow === flow) &&
          (!state || instance.state === state) &&
          (!version || instance.version === Number(version)),
      )
      .filter(
        (instance) =>
          (!businessKey || instance.businessKey === businessKey) &&
          (!node || instance.tokens.some((token) => token.node === node)),
      )
      .filter(
        (instance) =>
          !q ||
          `${instance.businessKey} ${instance.id} ${instance.error?.message ?? ''}`
            .toLowerCase()
            .includes(q.toLowerCase()),
      )
      .sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
    const from = Number(cursor);
    const page = all.slice(from, from + Number(limit));
    return {
      items: page.map((instance) => this.view(instance)),
      next: from + page.length < all.length ? String(from + page.length) : null,
    };
  }

  startInstance(key, { input, businessKey, version }, past = null) {
    const flow = this.needFlow(key);
    const pinned = version ? flow.versions.find((one) => one.version === version) : flow.versions.at(-1);
    if (!pinned) throw refuse(404, 'NO_VERSION', `“${key}” has no published version`);
    const missing = (pinned.document.input?.required ?? []).filter((name) => input?.[name] === undefined);
    if (missing.length > 0)
      throw refuse(422, 'INPUT_INVALID', 'The input does not match the flow’s schema', {
        problems: missing.map((name) => ({
          severity: 'error',
          code: 'REQUIRED',
          pointer: `/${name}`,
          message: `“${name}” is required`,
        })),
      });
    const at = past ?? Date.now();
    const instance = {
      id: randomUUID(),
      flow: key,
      version: pinned.version,
      businessKey: businessKey ?? input?.orderId ?? input?.order_id ?? null,
      state: 'running',
      priority: 0,
      startedAt: iso(at),
      updatedAt: iso(at),
      endedAt: null,
      error: null,
      input,
      output: null,
      reply: null,
      vars: {},
      tokens: [],
      nodes: {},
      journal: [],
      seq: 0,
      document: pinned.document,
      undo: [],
      outputs: {},
      joins: {},
      clock: past,
      agenda: [],
    };
    this.instances.set(instance.id, instance);
    this.log(instance, 'started', null, { input });
    const first = Object.keys(pinned.document.nodes).find((id) => pinned.document.nodes[id].type === 'start');
    this.enter(instance, first);
    if (past !== null) {
      while (instance.agenda.length > 0) {
        instance.agenda.sort((a, b) => a.at - b.at);
        const next = instance.agenda.shift();
        instance.clock = next.at;
        next.run();
      }
      instance.clock = null;
    }
    return instance;
  }

  now(instance) {
    return instance.clock ?? Date.now();
  }

  after(instance, ms, run) {
    if (instance.clock !== null) {
      instance.agenda.push({ at: instance.clock + ms, run });
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!OVER.has(instance.state)) run();
    }, ms / this.speed);
    this.#timers.add(timer);
  }

  log(instance, type, node, data, extra = {}) {
    instance.seq += 1;
    instance.updatedAt = iso(this.now(instance));
    instance.journal.push({
      seq: instance.seq,
      at: instance.updatedAt,
      type,
      ...(node ? { node, visit: instance.nodes[node]?.visits ?? 1 } : {}),
      ...extra,
      data: data ?? null,
    });
    if (instance.clock === null) {
      const { id, flow, version, state, seq, businessKey } = instance;
      this.emit('instance', {
        id,
        flow,
        version,
        state,
        seq,
        businessKey,
        nodes: node && instance.nodes[node] ? [{ node, state: instance.nodes[node].state }] : [],
      });
    }
  }

  /** Tells watchers of a change that is no event of the journal. */
  touch(instance, node) {
    instance.updatedAt = iso(this.now(instance));
    if (instance.clock !== null) return;
    const { id, flow, version, state, seq, businessKey } = instance;
    this.emit('instance', {
      id,
      flow,
      version,
      state,
      seq,
      businessKey,
      nodes: node && instance.nodes[node] ? [{ node, state: instance.nodes[node].state }] : [],
    });
  }

  enter(instance, id) {
    const node = instance.document.nodes[id];
    if (!node) return;
    const at = this.now(instance);
    const run = instance.nodes[id] ?? { visits: 0, attempts: 0 };
    instance.nodes[id] = {
      ...run,
      state: 'active',
      visits: run.visits + 1,
      attempts: run.attempts + 1,
      startedAt: iso(at),
      endedAt: null,
      durationMs: null,
    };
    const token = {
      token: randomUUID().slice(0, 8),
      node: id,
      visit: run.visits + 1,
      state: 'calling',
      attempt: 1,
      since: iso(at),
      dueAt: null,
      waiting: null,
      error: null,
    };
    instance.tokens.push(token);
    this.perform(instance, token, node);
  }

  leave(instance, token, { port, output, state = 'done' } = {}) {
    const id = token.node;
    instance.tokens = instance.tokens.filter((one) => one !== token);
    const run = instance.nodes[id];
    const at = this.now(instance);
    Object.assign(run, {
      state,
      endedAt: iso(at),
      durationMs: at - Date.parse(run.startedAt),
      port: port ?? null,
      ...(output === undefined ? {} : { lastOutput: output }),
    });
    if (output !== undefined) instance.outputs[id] = output;
    const node = instance.document.nodes[id];
    const all = instance.document.edges.filter((edge) => edge.from === id);
    const defaultPort = this.nodeTypes.find((type) => type.uses === node.uses)?.ports[0]?.name;
    let next = all.filter(
      (edge) => (edge.port ?? null) === (port ?? null) || (port && port === defaultPort && !edge.port),
    );
    if (node.type === 'exclusive')
      next = [
        all.find((edge) => edge.when && this.evaluate(instance, edge.when)) ?? all.find((edge) => edge.default),
      ].filter(Boolean);
    if (node.type === 'task' && state === 'done') {
      const outcome = { outcome: 'done', port: port ?? 'out', output: output ?? null };
      this.log(instance, 'node-returned', id, { attempt: run.attempts, op: 'run', outcome }, { attempt: run.attempts });
    } else this.touch(instance, id);
    for (const edge of next) this.enter(instance, edge.to);
    if (next.length === 0 && instance.tokens.length === 0 && !OVER.has(instance.state)) this.end(instance, 'completed');
    this.settle(instance);
  }

  settle(instance) {
    if (OVER.has(instance.state) || instance.state === 'compensating') return;
    const states = instance.tokens.map((token) => token.state);
    const next = states.includes('incident')
      ? 'incident'
      : states.length > 0 && states.every((state) => ['waiting', 'timer', 'joining'].includes(state))
        ? 'waiting'
        : 'running';
    instance.state = next;
    if (next !== 'incident') instance.error = null;
  }

  end(instance, state, error = null) {
    instance.state = state;
    instance.error = error ?? instance.error;
    instance.endedAt = iso(this.now(instance));
    instance.tokens = [];
    for (const id of Object.keys(instance.document.nodes))
      instance.nodes[id] ??= { state: 'skipped', visits: 0, attempts: 0 };
    this.touch(instance, null);
  }

  perform(instance, token, node) {
    const id = token.node;
    const run = instance.nodes[id];
    const go = (ms, options) =>
      this.after(instance, ms, () => instance.tokens.includes(token) && this.leave(instance, token, options));
    switch (node.type) {
      case 'start':
        return go(5);
      case 'end':
        instance.output = this.map(instance, node.output ?? null);
        return go(4);
      case 'set':
        for (const [name, value] of Object.entries(node.vars ?? {})) instance.vars[name] = this.map(instance, value);
        return go(3, { output: instance.vars });
      case 'reply':
        instance.reply = this.map(instance, node.output ?? null);
        return go(4, { output: instance.reply });
      case 'decision':
        return go(3, { output: { pct: 10 } });
      case 'parallel': {
        const arriving = instance.document.edges.filter((edge) => edge.to === id).length;
        instance.joins[id] = (instance.joins[id] ?? 0) + 1;
        token.state = 'joining';
        run.state = 'waiting';
        if (instance.joins[id] < arriving) return this.settle(instance);
        instance.joins[id] = 0;
        instance.tokens = instance.tokens.filter((one) => one.node !== id || one === token);
        return go(2);
      }
      case 'timer':
        token.state = 'timer';
        run.state = 'waiting';
        token.dueAt = iso(this.now(instance) + 4000);
        this.settle(instance);
        this.touch(instance, id);
        return this.after(instance, 4000, () => {
          if (instance.tokens.includes(token)) {
            this.log(instance, 'timer-fired', id, { dueMs: Date.parse(token.dueAt) });
            this.leave(instance, token);
          }
        });
      case 'receive': {
        token.state = 'waiting';
        run.state = 'waiting';
        token.waiting = { message: node.message, key: String(this.map(instance, node.key) ?? '') };
        token.dueAt = iso(this.now(instance) + 1_800_000);
        this.settle(instance);
        return this.touch(instance, id);
      }
      case 'compensate':
        return this.compensate(instance, token);
      case 'task':
        return this.callNode(instance, token, node);
      default:
        return go(5);
    }
  }

  callNode(instance, token, node) {
    const id = token.node;
    const type = this.nodeTypes.find((one) => one.uses === node.uses);
    const run = instance.nodes[id];
    run.lastInput = this.map(instance, node.with ?? {});
    this.touch(instance, id);
    const ms = type?.effect === 'external' ? 700 + Math.random() * 700 : 6 + Math.random() * 20;
    const fault = this.faults.get(`${instance.businessKey}/${id}`);
    this.after(instance, ms, () => {
      if (!instance.tokens.includes(token)) return;
      if (fault) return this.fail(instance, token, fault);
      const example = type?.examples?.[0];
      if (node.undo && type?.undo) instance.undo.push({ node: id, visit: token.visit });
      return this.leave(instance, token, {
        port: type?.ports.length > 1 ? example?.port : undefined,
        output: example?.output ?? {},
      });
    });
  }

  fail(instance, token, fault) {
    const id = token.node;
    const node = instance.document.nodes[id];
    const error = { code: fault.code, message: fault.message, node: id, class: fault.class };
    const run = instance.nodes[id];
    const failed = {
      attempt: token.attempt,
      op: 'run',
      outcome: { outcome: 'failed', class: fault.class, code: fault.code, message: fault.message },
    };
    const handler = Object.entries(node.on ?? {}).find(([, on]) => on.type === 'error' && on.code === fault.code);
    run.error = error;
    if (handler) return this.leave(instance, token, { port: handler[0], state: 'failed' });
    const attempts = node.retry?.attempts ?? 1;
    if (fault.class === 'transient' && token.attempt < attempts) {
      token.attempt += 1;
      token.state = 'retrying';
      run.attempts = token.attempt;
      this.log(instance, 'node-returned', id, failed, { attempt: token.attempt - 1 });
      return this.after(instance, 600, () => this.callNode(instance, token, node));
    }
    if (fault.class === 'rejected') {
      run.state = 'failed';
      run.endedAt = iso(this.now(instance));
      run.durationMs = this.now(instance) - Date.parse(run.startedAt);
      this.log(instance, 'node-returned', id, failed, { attempt: token.attempt });
      return this.compensate(instance, null, error);
    }
    Object.assign(token, { state: 'incident', error });
    Object.assign(run, { state: 'incident', error });
    instance.error = error;
    this.settle(instance);
    return this.log(instance, 'node-returned', id, failed, { attempt: token.attempt });
  }

  compensate(instance, token, error = null) {
    const plan = [...instance.undo].reverse();
    instance.undo = [];
    instance.state = 'compensating';
    if (error) instance.error = error;
    instance.tokens = token ? [token] : [];
    const next = () => {
      const step = plan.shift();
      if (!step) {
        if (!token) return this.end(instance, 'compensated', error);
        instance.state = 'running';
        return this.leave(instance, token);
      }
      const undoing = {
        token: randomUUID().slice(0, 8),
        node: step.node,
        visit: step.visit,
        state: 'undoing',
        attempt: 1,
        since: iso(this.now(instance)),
        dueAt: null,
        waiting: null,
        error: null,
      };
      instance.tokens.push(undoing);
      this.touch(instance, step.node);
      return this.after(instance, 700, () => {
        instance.tokens = instance.tokens.filter((one) => one !== undoing);
        instance.nodes[step.node].state = 'undone';
        this.log(instance, 'node-returned', step.node, {
          attempt: 1,
          op: 'undo',
          outcome: { outcome: 'done', port: 'out', output: null },
        });
        next();
      });
    };
    next();
  }

  command(id, what, { node, reason }) {
    const instance = this.need(id);
    if (OVER.has(instance.state)) throw refuse(409, 'INSTANCE_ENDED', 'The instance has ended');
    this.note(`instance.${what}`, id, reason ? { reason } : undefined);
    this.log(instance, 'commanded', null, { command: what, by: 'admin', ...(reason ? { reason } : {}) });
    if (what === 'cancel') {
      for (const token of instance.tokens) instance.nodes[token.node].state = 'skipped';
      this.end(instance, 'cancelled');
    } else if (what === 'compensate') {
      for (const token of instance.tokens) instance.nodes[token.node].state = 'skipped';
      this.compensate(instance, null, {
        code: 'COMPENSATE_REQUESTED',
        message: reason || 'An operator asked for it',
        class: 'command',
      });
    } else {
      const token = instance.tokens.find((one) => one.state === 'incident' && (!node || one.node === node));
      if (!token) throw refuse(409, 'NOTHING_TO_RETRY', 'Nothing stands in an incident');
      this.faults.delete(`${instance.businessKey}/${token.node}`);
      Object.assign(token, { state: 'calling', error: null, attempt: token.attempt + 1 });
      Object.assign(instance.nodes[token.node], { state: 'active', error: null, attempts: token.attempt });
      this.settle(instance);
      this.callNode(instance, token, instance.document.nodes[token.node]);
    }
    return { id, seq: instance.seq };
  }

  message({ name, key, payload }) {
    for (const instance of this.instances.values()) {
      const token = instance.tokens.find((one) => one.waiting?.message === name && one.waiting.key === key);
      if (!token) continue;
      this.log(instance, 'message-arrived', token.node, { name, key, payload });
      token.waiting = null;
      token.state = 'calling';
      this.leave(instance, token, { output: payload });
      return { id: randomUUID(), delivered: true };
    }
    return { id: randomUUID(), delivered: 'buffered' };
  }

  map(instance, value) {
    if (typeof value === 'string' && value.startsWith('=')) return this.evaluate(instance, value.slice(1));
    if (Array.isArray(value)) return value.map((item) => this.map(instance, item));
    if (value && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.map(instance, item)]));
    return value;
  }

  evaluate(instance, expression) {
    const context = {
      input: instance.input,
      vars: instance.vars,
      nodes: instance.outputs,
      flow: { key: instance.flow, version: instance.version, instance: instance.id },
    };
    try {
      return new Function('context', `with (context) { return (${expression}); }`)(context) ?? null;
    } catch {
      return null;
    }
  }

  /** A believable past: some instances in every state. */
  sampleInstances() {
    const order = (n) => ({
      orderId: `O-2026-${1000 + n}`,
      sku: `SKU-${1001 + (n % 3)}`,
      quantity: 1 + (n % 3),
      amount_cents: 12900 * (1 + (n % 3)),
      communityId: `C-${11 + (n % 7)}`,
    });
    const minute = 60_000;
    const fault = (n, node, code, message, kind) =>
      this.faults.set(`O-2026-${1000 + n}/${node}`, { code, message, class: kind });
    fault(3, 'ship_goods', 'CARRIER_DOWN', 'The carrier answered 503 three times: upstream connect error', 'transient');
    fault(7, 'validate_stock', 'OUT_OF_STOCK', 'SKU-1002 is out of stock', 'rejected');
    fault(9, 'create_payment', 'PAYMENT_MISMATCH', 'The gateway expects 25900, the order says 25800', 'rejected');
    fault(14, 'create_payment', 'TIMED_OUT', 'The call took longer than 3 s and its outcome is not known', 'unknown');
    for (let n = 1; n <= 34; n += 1) {
      const begun = Date.now() - (36 - n) * 7 * minute - n * 1300;
      const instance = this.startInstance('community_order', { input: order(n), version: n < 8 ? 2 : 3 }, begun);
      const waiting = instance.tokens.find((token) => token.state === 'waiting');
      if (waiting && n < 29) {
        instance.clock = begun + 40_000 + n * 900;
        const payload = { status: n % 6 === 5 ? 'FAILED' : 'PAID', payment: `PAY-${77000 + n}` };
        this.log(instance, 'message-arrived', waiting.node, { name: 'payment', payload });
        waiting.waiting = null;
        this.leave(instance, waiting, { output: payload });
        while (instance.agenda.length > 0) {
          instance.agenda.sort((a, b) => a.at - b.at);
          const next = instance.agenda.shift();
          instance.clock = next.at;
          next.run();
        }
        instance.clock = null;
      }
    }
    for (let n = 1; n <= 120; n += 1)
      this.startInstance(
        'order-5',
        { input: { order_id: `A-${n}`, type: n % 3 ? 'physical' : 'virtual', region: 'north', items: [] } },
        Date.now() - n * 41_000,
      );
    const cancelled = [...this.instances.values()].find((instance) => instance.state === 'waiting');
    if (cancelled) this.command(cancelled.id, 'cancel', { reason: 'The customer changed their mind' });
    for (const flow of this.flows.values())
      for (const version of flow.versions)
        version.publishedAt = iso(Date.now() - (6 - version.version) * 26 * 3_600_000);
  }
}
