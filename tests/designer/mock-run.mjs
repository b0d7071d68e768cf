// The stand-in engine's interpreter: enough of the semantics to watch a saga run, fail and be undone. Containers, called
// flows and open work are not run here: those that are shown come from `mock-live.mjs`.
import { randomUUID } from 'node:crypto';
import { Flows } from './mock-flows.mjs';

const OVER = new Set(['completed', 'failed', 'compensated', 'cancelled']);
const iso = (ms) => new Date(ms).toISOString();

export class Runner extends Flows {
  now(instance) {
    return instance.clock ?? Date.now();
  }

  after(instance, ms, run) {
    if (instance.clock !== null) {
      instance.agenda.push({ at: instance.clock + ms, run });
      return;
    }
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (!OVER.has(instance.state)) run();
    }, ms / this.speed);
    this.timers.add(timer);
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
}
