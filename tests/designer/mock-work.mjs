// The stand-in engine's commands on many instances, on versions, and on work that is open.
import { refuse } from './mock.mjs';
import { Runner } from './mock-run.mjs';

const OVER = new Set(['completed', 'failed', 'compensated', 'cancelled']);
const RUN_MAX = 500;

export class Work extends Runner {
  migration(id, { version, nodes = {} }) {
    const instance = this.need(id);
    const to = this.version(instance.flow, version).document;
    const unfit = [];
    for (const { node } of [...instance.tokens, ...instance.undo]) {
      const name = nodes[node] ?? node;
      const there = to.nodes[name];
      if (unfit.some((one) => one.node === node)) continue;
      if (!there) unfit.push({ node, code: 'NODE_MISSING', message: `the other version has no \`${name}\`` });
      else if (there.type !== instance.document.nodes[node].type)
        unfit.push({ node, code: 'NODE_OTHER_TYPE', message: `\`${name}\` is of another type there` });
    }
    return { fits: unfit.length === 0, unfit };
  }

  migrate(id, { version, nodes = {} }) {
    const instance = this.need(id);
    instance.version = version;
    instance.document = this.version(instance.flow, version).document;
    for (const token of instance.tokens) {
      const to = nodes[token.node];
      if (!to) continue;
      instance.nodes[to] = instance.nodes[token.node];
      delete instance.nodes[token.node];
      token.node = to;
    }
    this.note('instance.migrate', id, { version });
    this.log(instance, 'commanded', null, { command: 'migrate', by: 'admin', version });
    return { id };
  }

  bulk({ filter, command, reason, dryRun = true }) {
    if (Object.values(filter).every((one) => one === undefined || one === null))
      throw refuse(422, 'BODY_INVALID', 'The body has the wrong shape');
    const all = this.find({ ...filter, limit: 100_000 }).items.filter((one) => !OVER.has(one.state));
    const found = all.slice(0, RUN_MAX);
    const refused = [];
    let commanded = 0;
    if (!dryRun)
      for (const { id } of found)
        try {
          this.command(id, command, { reason });
          commanded += 1;
        } catch {
          refused.push(id);
        }
    const examples = found.slice(0, 20).map((one) => one.id);
    return { dryRun, matched: found.length, more: all.length > RUN_MAX, commanded, refused, examples };
  }

  /** Due at the same hour each day: the stand-in reads no cron. */
  schedules() {
    const days = [1, 2, 3, 4].map((n) => new Date(Math.floor(Date.now() / 86_400_000 + n) * 86_400_000).toISOString());
    return [...this.flows].flatMap(([key, { versions }]) => {
      const { version, document } = versions.at(-1) ?? {};
      return (document?.triggers ?? [])
        .filter((one) => one.type === 'schedule')
        .map(({ name, schedule, timezone = document.timezone ?? 'UTC' }) => {
          const id = `${key}:${name}`;
          return { id, flow: key, name, version, schedule, timezone, paused: false, next: days };
        });
    });
  }

  #open(id) {
    const [of, token] = id.split('.');
    const instance = this.instances.get(of);
    const found = instance?.tokens.find((one) => String(one.token) === token && one.state === 'open');
    if (!found) throw refuse(404, 'TASK_NOT_FOUND', 'No such open task');
    return { instance, token: found, node: instance.document.nodes[found.node] };
  }

  task(id) {
    const { instance, token, node } = this.#open(id);
    return {
      id,
      instance: instance.id,
      flow: instance.flow,
      businessKey: instance.businessKey,
      node: token.node,
      attempt: 1,
      title: node.title ?? token.node,
      data: { order: instance.businessKey, lines: instance.input.lines?.length ?? 0 },
      form: node.form ?? null,
      assignee: token.assignee ?? null,
      users: [],
      groups: node.groups ?? [],
      since: token.since,
      dueAt: token.due ?? null,
    };
  }

  openTasks() {
    return [...this.instances.values()].flatMap((one) =>
      one.tokens
        .filter((token) => token.state === 'open' && one.document.nodes[token.node].type === 'user-task')
        .map((token) => this.task(`${one.id}.${token.token}`)),
    );
  }

  give(id, user = 'admin') {
    this.#open(id).token.assignee = user;
    return this.task(id);
  }

  openWork(id) {
    if (!id) return [...this.instances.keys()].flatMap((one) => this.openWork(one));
    const instance = this.need(id);
    return instance.tokens
      .filter((token) => token.state === 'open' && instance.document.nodes[token.node].type === 'external-task')
      .map((token) => ({
        id: `${id}.${token.token}`,
        instance: id,
        flow: instance.flow,
        businessKey: instance.businessKey,
        node: token.node,
        topic: instance.document.nodes[token.node].topic,
        attempt: token.attempt,
        input: { sku: 'SKU-1005' },
        since: token.since,
        worker: token.worker ?? null,
        lockedUntil: token.lockedUntil ?? null,
      }));
  }

  fetchWork({ topics, worker }) {
    const found = [...this.instances.values()]
      .flatMap((one) => this.openWork(one.id))
      .filter((one) => topics.includes(one.topic));
    for (const { id } of found) this.#open(id).token.worker = worker;
    return found;
  }

  answerTask(id, what, said) {
    const { instance, token } = this.#open(id);
    this.note(`task.${what}`, id, said);
    // The instances that show open work do not run: it is answered, and that is all.
    instance.tokens = instance.tokens.filter((one) => one !== token);
    Object.assign(instance.nodes[token.node], {
      state: what === 'complete' ? 'done' : 'failed',
      lastOutput: said.output ?? null,
      error: what === 'fail' ? { code: said.code ?? 'TRANSIENT', message: said.message ?? '' } : null,
    });
    this.log(instance, 'commanded', token.node, { command: what, by: 'admin' });
    return { id };
  }
}
