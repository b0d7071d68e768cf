// The same work as order-5 in one plain function: no engine, no sandbox, nothing written. The ceiling of the machine.
//
// node node.mjs PORT
import { createServer } from 'node:http';

const FEES = {
  north: [[1000, 800], [5000, 1500], [Infinity, 3000]],
  south: [[1000, 600], [5000, 1200], [Infinity, 2500]],
  west: [[1000, 1200], [5000, 2200], [Infinity, 4200]],
};
const DISCOUNTS = [
  ['platinum', 50000, 20], ['platinum', 0, 12],
  ['gold', 50000, 15], ['gold', 20000, 10], ['gold', 0, 5],
  ['silver', 20000, 6], ['silver', 0, 2],
];

function validate(order) {
  const item = (i) => i.qty > 0 && i.unit_cents >= 0;
  return typeof order.order_id === 'string' && order.order_id !== ''
    && (order.type === 'physical' || order.type === 'virtual')
    && typeof order.customer?.tier === 'string'
    && Object.hasOwn(FEES, order.region)
    && Array.isArray(order.items) && order.items.length > 0 && order.items.every(item);
}

function answer(order) {
  const ships = order.type === 'physical';
  const subtotal = order.items.reduce((sum, item) => sum + item.qty * item.unit_cents, 0);
  const grams = order.items.reduce((sum, item) => sum + item.qty * (item.weight_g ?? 0), 0);
  const shipping = ships ? FEES[order.region].find(([most]) => grams <= most)[1] : 0;
  const rule = DISCOUNTS.find(([tier, least]) => tier === order.customer.tier && subtotal >= least);
  const percent = rule ? rule[2] : 0;
  const discount = Math.floor((subtotal * percent) / 100);
  return {
    order_id: order.order_id,
    status: 'accepted',
    fulfilment: ships ? 'warehouse' : 'email',
    subtotal_cents: subtotal,
    shipping_cents: shipping,
    discount_pct: percent,
    discount_cents: discount,
    total_cents: subtotal - discount + shipping,
  };
}

createServer((request, response) => {
  if (request.method === 'GET') {
    response.end('ready');
    return;
  }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const order = JSON.parse(Buffer.concat(chunks).toString());
    const valid = validate(order);
    response.writeHead(valid ? 200 : 422, { 'content-type': 'application/json' });
    response.end(JSON.stringify(valid ? answer(order) : { status: 'rejected' }));
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
