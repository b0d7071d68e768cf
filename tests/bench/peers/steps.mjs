// What the steps of order-5 compute, for the peers that are written in JavaScript.

// Grams up to and including, cents.
export const FEES = {
  north: [[1000, 800], [5000, 1500], [Infinity, 3000]],
  south: [[1000, 600], [5000, 1200], [Infinity, 2500]],
  west: [[1000, 1200], [5000, 2200], [Infinity, 4200]],
};

const DISCOUNTS = [
  ['platinum', 50000, 20], ['platinum', 0, 12],
  ['gold', 50000, 15], ['gold', 20000, 10], ['gold', 0, 5],
  ['silver', 20000, 6], ['silver', 0, 2],
];

export const discountOf = (tier, subtotal) => DISCOUNTS.find(([one, least]) => one === tier && subtotal >= least)?.[2] ?? 0;

export function isValid(order) {
  const item = (i) => i.qty > 0 && i.unit_cents >= 0;
  return typeof order.order_id === 'string' && order.order_id !== ''
    && (order.type === 'physical' || order.type === 'virtual')
    && typeof order.customer?.tier === 'string'
    && Object.hasOwn(FEES, order.region)
    && Array.isArray(order.items) && order.items.length > 0 && order.items.every(item);
}
