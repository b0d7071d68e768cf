// A flow with every construct, one that it calls, and an instance in the middle of it, as the engine would show it. For
// looking at: the stand-in's interpreter runs none of this.

const minutes = (n) => new Date(Date.now() - n * 60_000).toISOString();
const work = (more) => ({ type: 'task', uses: 'json/transform@1', config: { steps: [] }, ...more });

export const pay = {
  stepwell: 1,
  kind: 'graph',
  key: 'pay',
  title: { en: 'Pay', 'zh-CN': '支付' },
  input: {
    type: 'object',
    required: ['order', 'amount_cents'],
    properties: {
      order: { type: 'string', title: 'Order number', 'x-title-zh-CN': '订单号' },
      amount_cents: { type: 'integer', title: 'Amount in cents', 'x-title-zh-CN': '金额（分）', format: 'money' },
    },
  },
  nodes: {
    start: { type: 'start' },
    begin: { type: 'set', title: { en: 'Begin payment', 'zh-CN': '发起支付' }, vars: { order: '=input.order' } },
    paid: { type: 'receive', message: 'payment', key: '=input.order', timeout: '30m' },
    end: { type: 'end', output: { status: 'PAID' } },
    late: { type: 'throw', code: 'NOT_PAID' },
  },
  edges: [
    { from: 'start', to: 'begin' },
    { from: 'begin', to: 'paid' },
    { from: 'paid', to: 'end' },
    { from: 'paid', port: 'timeout', to: 'late' },
  ],
};

export const batch = {
  stepwell: 1,
  kind: 'graph',
  key: 'batch_order',
  title: { en: 'Large order', 'zh-CN': '批量订单' },
  input: {
    type: 'object',
    required: ['orderId', 'lines'],
    properties: {
      orderId: { type: 'string', examples: ['B-7'] },
      lines: { type: 'array', items: { type: 'object' }, examples: [[{ sku: 'SKU-1001', quantity: 2 }]] },
    },
  },
  businessKey: '=input.orderId',
  timezone: 'Asia/Shanghai',
  triggers: [
    { type: 'schedule', name: 'morning', schedule: '0 9 * * 1-5' },
    {
      type: 'http',
      path: 'hooks/paid',
      auth: { type: 'hmac', connection: 'gateway', secrets: ['HOOK'], header: 'X-Signature', prefix: 'sha256=' },
      message: { name: 'payment', key: '=input.order', id: '=input.event' },
      answer: 'success',
    },
  ],
  nodes: {
    start: { type: 'start' },
    prepare: {
      type: 'stage',
      title: { en: 'Prepare', 'zh-CN': '准备' },
      timeout: '5s',
      steps: [
        { run: 'customer', sync: true },
        { run: 'address', group: 'data', optional: true },
        { run: 'goods', group: 'data' },
      ],
      merge: { data: 'fields' },
      on: { failed: { type: 'error' }, slow: { type: 'timeout', after: '2s', interrupting: false } },
    },
    customer: work({ in: 'prepare', title: { en: 'Customer', 'zh-CN': '客户' } }),
    address: work({ in: 'prepare', title: { en: 'Address', 'zh-CN': '地址' } }),
    goods: work({ in: 'prepare', title: { en: 'Goods', 'zh-CN': '商品' } }),
    reminded: { type: 'end', title: { en: 'Noted', 'zh-CN': '已记录' } },
    refused: { type: 'throw', title: { en: 'Refused', 'zh-CN': '已拒绝' }, code: 'REFUSED' },
    each: {
      type: 'for-each',
      title: { en: 'Every line', 'zh-CN': '每个订单行' },
      items: '=input.lines',
      limit: 3,
      onFailure: 'collect',
    },
    reserve: work({ in: 'each', title: { en: 'Reserve', 'zh-CN': '预留' }, with: { sku: '=item.sku' } }),
    pick: {
      type: 'external-task',
      in: 'each',
      title: { en: 'Pick', 'zh-CN': '拣货' },
      topic: 'picking',
      with: { sku: '=item.sku' },
    },
    approve: {
      type: 'user-task',
      title: { en: 'Approve', 'zh-CN': '审批' },
      groups: ['finance'],
      due: '4h',
      timeout: '2d',
      form: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
      on: { withdrawn: { type: 'message', message: 'withdrawn', key: '=input.orderId' } },
    },
    split: { type: 'parallel' },
    pay: {
      type: 'call',
      title: { en: 'Pay', 'zh-CN': '支付' },
      flow: 'pay@1',
      with: { order: '=input.orderId', amount_cents: 1200 },
      timeout: '1h',
    },
    notify: { type: 'inclusive', title: { en: 'Whom to tell', 'zh-CN': '通知谁' } },
    mail: work({ title: { en: 'Mail', 'zh-CN': '邮件' } }),
    text: work({ title: { en: 'Text message', 'zh-CN': '短信' } }),
    told: { type: 'inclusive', title: { en: 'Told', 'zh-CN': '已通知' } },
    join: { type: 'parallel', join: { count: 1, rest: 'cancel', timeout: '10m' } },
    first: { type: 'event-gateway', title: { en: 'Arrives or not', 'zh-CN': '是否送达' } },
    arrived: { type: 'receive', message: 'arrived', key: '=input.orderId', timeout: '7d' },
    lost: { type: 'timer', after: '3d' },
    done: { type: 'end', output: { status: 'DONE' } },
    stopped: { type: 'end', title: { en: 'Stopped', 'zh-CN': '已停止' }, terminate: true },
  },
  edges: [
    { from: 'start', to: 'prepare' },
    { from: 'prepare', to: 'each' },
    { from: 'prepare', port: 'failed', to: 'refused' },
    { from: 'prepare', port: 'slow', to: 'reminded' },
    { from: 'reserve', to: 'pick' },
    { from: 'each', to: 'approve' },
    { from: 'approve', to: 'split' },
    { from: 'approve', port: 'timeout', to: 'stopped' },
    { from: 'approve', port: 'withdrawn', to: 'stopped' },
    { from: 'split', to: 'pay' },
    { from: 'split', to: 'notify' },
    { from: 'notify', to: 'mail', when: 'input.mail' },
    { from: 'notify', to: 'text', default: true },
    { from: 'mail', to: 'told' },
    { from: 'text', to: 'told' },
    { from: 'pay', to: 'join' },
    { from: 'told', to: 'join' },
    { from: 'join', to: 'first' },
    { from: 'join', port: 'timeout', to: 'stopped' },
    { from: 'first', to: 'arrived' },
    { from: 'first', to: 'lost' },
    { from: 'arrived', to: 'done' },
    { from: 'arrived', port: 'timeout', to: 'stopped' },
    { from: 'lost', to: 'stopped' },
  ],
};

const run = (state, from, to, more = {}) => ({
  state,
  visits: 1,
  attempts: 1,
  startedAt: minutes(from),
  endedAt: to === null ? null : minutes(to),
  durationMs: to === null ? null : Math.round((from - to) * 60_000),
  ...more,
});
const token = (id, node, state, more = {}) => ({
  token: id,
  node,
  visit: 1,
  state,
  attempt: 1,
  since: minutes(4),
  dueAt: null,
  waiting: null,
  error: null,
  ...more,
});
const instance = (id, more) => ({
  id,
  flow: 'batch_order',
  version: 1,
  businessKey: 'B-7',
  state: 'waiting',
  priority: 0,
  startedAt: minutes(9),
  updatedAt: minutes(1),
  endedAt: null,
  error: null,
  input: { orderId: 'B-7', lines: Array.from({ length: 8 }, (_, n) => ({ sku: `SKU-${1001 + n}`, quantity: 1 + n })) },
  output: null,
  reply: null,
  vars: {},
  journal: [],
  seq: 41,
  document: batch,
  undo: [],
  outputs: {},
  joins: {},
  clock: null,
  agenda: [],
  ...more,
});
const broken = { code: 'OUT_OF_STOCK', message: 'SKU-1004 is out of stock', class: 'permanent', node: 'reserve' };
const unheard = { code: 'CONNECTION_REFUSED', message: 'nobody answers there', class: 'transient', node: 'each' };
const before = {
  start: run('done', 9, 9),
  prepare: run('done', 9, 8),
  customer: run('done', 9, 8.6),
  address: run('failed', 8.6, 8.2),
  goods: run('done', 8.6, 8),
};

/** In the middle of its lines; later, in a called flow; held by an operator; and before a listener that failed. */
export const instances = [
  instance('0199c0de-0000-7000-8000-000000000001', {
    state: 'incident',
    error: broken,
    nodes: {
      ...before,
      each: run('active', 8, null),
      reserve: run('incident', 8, null, { visits: 6, error: broken }),
      pick: run('waiting', 7, null, { visits: 5 }),
    },
    tokens: [
      token(11, 'each', 'inside', { since: minutes(8) }),
      token(12, 'reserve', 'incident', { scope: 'each.1/3/', error: broken }),
      token(13, 'pick', 'open', { scope: 'each.1/4/' }),
      token(14, 'reserve', 'calling', { scope: 'each.1/5/' }),
    ],
  }),
  instance('0199c0de-0000-7000-8000-000000000002', {
    businessKey: 'B-8',
    nodes: {
      ...before,
      each: run('done', 8, 6, {
        lastOutput: [
          { ok: true },
          { ok: true },
          { error: { code: 'OUT_OF_STOCK', message: 'SKU-1003 is out of stock' } },
        ],
      }),
      reserve: run('done', 8, 7, { visits: 3 }),
      pick: run('done', 7, 6, { visits: 3 }),
      approve: run('done', 6, 5, { lastOutput: { ok: true } }),
      split: run('done', 5, 5),
      pay: run('active', 5, null, { lastInput: { order: 'B-8', amount_cents: 1200 } }),
      notify: run('done', 5, 5),
      text: run('active', 5, null),
      'pay.1/start': run('done', 5, 5),
      'pay.1/begin': run('done', 5, 4.9),
      'pay.1/paid': run('waiting', 4.9, null),
    },
    tokens: [
      token(21, 'pay', 'inside'),
      token(22, 'pay.1/paid', 'waiting', { scope: 'pay.1/', waiting: { message: 'payment', key: 'B-8' } }),
      token(23, 'text', 'abandoned'),
    ],
  }),
  instance('0199c0de-0000-7000-8000-000000000003', {
    businessKey: 'B-9',
    state: 'suspended',
    nodes: {
      ...before,
      each: run('done', 8, 6, { lastOutput: [{ ok: true }] }),
      reserve: run('done', 8, 7),
      pick: run('done', 7, 6),
      approve: run('waiting', 6, null),
    },
    tokens: [token(31, 'approve', 'halted')],
  }),
  instance('0199c0de-0000-7000-8000-000000000004', {
    businessKey: 'B-10',
    state: 'incident',
    error: unheard,
    nodes: { ...before, each: run('incident', 8, null) },
    tokens: [token(35, 'each', 'incident', { listener: 'enter', error: unheard })],
  }),
  ...[20, -30, -300].map((late, n) =>
    instance(`0199c0de-0000-7000-8000-00000000001${n}`, {
      businessKey: `B-${11 + n}`,
      nodes: {
        ...before,
        each: run('done', 8, 6, { lastOutput: [{ ok: true }] }),
        reserve: run('done', 8, 7),
        pick: run('done', 7, 6),
        approve: run('waiting', 6, null),
      },
      tokens: [token(41 + n, 'approve', 'open', { due: minutes(late), ...(n === 1 ? { assignee: 'mei' } : {}) })],
    }),
  ),
];
