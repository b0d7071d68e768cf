// The work of order-5 as a Restate service: each step a durable `ctx.run`, price and shipping side by side.
//
// node restate.mjs PORT
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { FEES, discountOf, isValid } from './steps.mjs';

// The packages lie where the bench put them, not beside this file.
const require = createRequire(`${process.cwd()}/package.json`);
const restate = await import(pathToFileURL(require.resolve('@restatedev/restate-sdk')).href);

const orders = restate.service({
  name: 'orders',
  handlers: {
    order5: async (ctx, order) => {
      const valid = await ctx.run('validate', () => isValid(order));
      if (!valid) { throw new restate.TerminalError('rejected', { errorCode: 422 }); }
      const route = await ctx.run('route', () =>
        order.type === 'physical' ? { fulfilment: 'warehouse', ships: true } : { fulfilment: 'email', ships: false });
      const [subtotal, shipping] = await restate.RestatePromise.all([
        ctx.run('price', () => order.items.reduce((sum, item) => sum + item.qty * item.unit_cents, 0)),
        ctx.run('shipping', () => {
          const grams = order.items.reduce((sum, item) => sum + item.qty * (item.weight_g ?? 0), 0);
          return route.ships ? FEES[order.region].find(([most]) => grams <= most)[1] : 0;
        }),
      ]);
      const percent = await ctx.run('discount', () => discountOf(order.customer.tier, subtotal));
      const discount = Math.floor((subtotal * percent) / 100);
      return {
        order_id: order.order_id, status: 'accepted', fulfilment: route.fulfilment,
        subtotal_cents: subtotal, shipping_cents: shipping, discount_pct: percent, discount_cents: discount,
        total_cents: subtotal - discount + shipping,
      };
    },
  },
});

restate.serve({ services: [orders], port: Number(process.argv[2]) });
