// The stand-in engine: its instances, how they are found and what can be asked of them.
import { randomUUID } from 'node:crypto';
import { refuse } from './mock.mjs';
import { Work } from './mock-work.mjs';

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

export class Engine extends Work {
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

  command(id, what, { node, reason, token: named, to, newKey }) {
    const instance = this.need(id);
    if (OVER.has(instance.state)) throw refuse(409, 'INSTANCE_ENDED', 'The instance has ended');
    this.note(`instance.${what}`, id, reason ? { reason } : undefined);
    this.log(instance, 'commanded', null, {
      command: what,
      by: 'admin',
      ...(reason ? { reason } : {}),
      ...(newKey ? { newKey } : {}),
    });
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
    } else if (what === 'suspend' || what === 'resume') {
      if ((what === 'resume') !== (instance.state === 'suspended'))
        throw refuse(409, 'COMMAND_DOES_NOT_FIT', 'The instance does not stand where the command says');
      instance.state = what === 'suspend' ? 'suspended' : 'running';
      if (what === 'resume') this.settle(instance);
      this.touch(instance);
    } else if (what === 'move') {
      const token = instance.tokens.find((one) => one.token === named);
      if (!token || !instance.document.nodes[to])
        throw refuse(409, 'COMMAND_DOES_NOT_FIT', 'The instance does not stand where the command says');
      instance.tokens = instance.tokens.filter((one) => one !== token);
      instance.nodes[token.node].state = 'skipped';
      this.enter(instance, to);
      this.settle(instance);
    } else if (what === 'skip') {
      const token = instance.tokens.find((one) => one.token === named && one.listener);
      if (!token) throw refuse(409, 'COMMAND_DOES_NOT_FIT', 'The instance does not stand where the command says');
      // Its node begins as if nothing had listened.
      Object.assign(token, { state: 'inside', listener: null, error: null });
      Object.assign(instance.nodes[token.node], { state: 'active', error: null });
      this.settle(instance);
      this.touch(instance);
    } else {
      const token = instance.tokens.find(
        (one) => one.state === 'incident' && (!node || one.node === node) && (!named || one.token === named),
      );
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
