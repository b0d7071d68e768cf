// What a new flow may begin with.
import type { Graph, Title } from './document';

export type TemplateName = 'blank' | 'call' | 'saga';

export function template(name: TemplateName, key: string, title: Title): Graph {
  const head = { stepwell: 1, kind: 'graph', key, title };
  if (name === 'call') {
    return {
      ...head,
      input: {
        type: 'object',
        properties: {
          orderId: { type: 'string', title: 'Order number', 'x-title-zh-CN': '订单号', examples: ['O-2026-1'] },
        },
        required: ['orderId'],
      },
      nodes: {
        start: { type: 'start' },
        request: {
          type: 'task',
          uses: 'http/request@1',
          config: { connection: 'shop', method: 'GET', path: '/orders/{id}' },
          with: { params: { id: '=input.orderId' } },
          timeout: '3s',
          retry: { attempts: 3, backoff: '200ms' },
        },
        end: { type: 'end', output: { status: '=nodes.request.status', body: '=nodes.request.body' } },
      },
      edges: [
        { from: 'start', to: 'request' },
        { from: 'request', to: 'end' },
      ],
    };
  }
  if (name === 'saga') {
    return {
      ...head,
      input: {
        type: 'object',
        required: ['orderId', 'sku', 'quantity', 'amount_cents'],
        properties: {
          orderId: { type: 'string', title: 'Order number', 'x-title-zh-CN': '订单号', examples: ['O-2026-1'] },
          sku: { type: 'string', title: 'SKU', examples: ['SKU-1001'] },
          quantity: { type: 'integer', title: 'Quantity', 'x-title-zh-CN': '数量', minimum: 1, examples: [1] },
          amount_cents: {
            type: 'integer',
            title: 'Amount in cents',
            'x-title-zh-CN': '金额（分）',
            minimum: 1,
            examples: [12900],
          },
        },
      },
      businessKey: '=input.orderId',
      nodes: {
        start: { type: 'start' },
        reserve_stock: {
          type: 'task',
          uses: 'commerce/reserve-stock@1',
          with: { sku: '=input.sku', quantity: '=input.quantity' },
          timeout: '3s',
          undo: true,
        },
        begin_payment: {
          type: 'task',
          uses: 'payment/begin@1',
          with: { order: '=input.orderId', amount_cents: '=input.amount_cents' },
          timeout: '3s',
          undo: true,
        },
        paid: {
          type: 'receive',
          title: { en: 'Payment result', 'zh-CN': '支付结果' },
          message: 'payment',
          key: '=input.orderId',
          timeout: '30m',
        },
        pay_check: { type: 'exclusive', title: { en: 'Paid?', 'zh-CN': '已支付？' } },
        ship: { type: 'task', uses: 'commerce/ship@1', with: { order: '=input.orderId' }, timeout: '3s', undo: true },
        undo_all: { type: 'compensate', title: { en: 'Undo everything', 'zh-CN': '全部撤销' } },
        shipped: { type: 'end', title: { en: 'Shipped', 'zh-CN': '已发货' }, output: { status: 'SHIPPED' } },
        cancelled: { type: 'end', title: { en: 'Cancelled', 'zh-CN': '已取消' }, output: { status: 'CANCELLED' } },
      },
      edges: [
        { from: 'start', to: 'reserve_stock' },
        { from: 'reserve_stock', to: 'begin_payment' },
        { from: 'begin_payment', to: 'paid' },
        { from: 'paid', to: 'pay_check' },
        { from: 'paid', port: 'timeout', to: 'undo_all' },
        { from: 'pay_check', to: 'ship', when: "nodes.paid.status == 'PAID'" },
        { from: 'pay_check', to: 'undo_all', default: true },
        { from: 'ship', to: 'shipped' },
        { from: 'undo_all', to: 'cancelled' },
      ],
    };
  }
  return {
    ...head,
    nodes: { start: { type: 'start' }, end: { type: 'end', output: {} } },
    edges: [{ from: 'start', to: 'end' }],
  };
}

/** Points a template's tasks at the newest major of each node type that is loaded. */
export function onLoaded(graph: Graph, types: { id: string; uses: string; major: number }[]): Graph {
  const nodes = Object.entries(graph.nodes).map(([id, node]) => {
    const wanted = node.uses?.split('@')[0];
    const newest = types.filter((type) => type.id === wanted).toSorted((a, b) => b.major - a.major)[0];
    return [id, newest ? { ...node, uses: newest.uses } : node] as const;
  });
  return { ...graph, nodes: Object.fromEntries(nodes) };
}
