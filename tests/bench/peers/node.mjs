// The same work as order-5 in one plain function: no engine, no sandbox, nothing written. The ceiling of the machine.
//
// node node.mjs PORT
import { createServer } from 'node:http';
import { FEES, discountOf, isValid } from './steps.mjs';

function answer(order) {
  const ships = order.type === 'physical';
  const subtotal = order.items.reduce((sum, item) => sum + item.qty * item.unit_cents, 0);
  const grams = order.items.reduce((sum, item) => sum + item.qty * (item.weight_g ?? 0), 0);
  const shipping = ships ? FEES[order.region].find(([most]) => grams <= most)[1] : 0;
  const percent = discountOf(order.customer.tier, subtotal);
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
    const valid = isValid(order);
    response.writeHead(valid ? 200 : 422, { 'content-type': 'application/json' });
    response.end(JSON.stringify(valid ? answer(order) : { status: 'rejected' }));
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
