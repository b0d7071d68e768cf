import { neverRan, plugin } from 'stepwell';
import { request } from 'stepwell/http';

const amount = {
  type: 'object',
  required: ['order', 'amount_cents'],
  properties: { order: { type: 'string' }, amount_cents: { type: 'integer', minimum: 1 } },
};

export default plugin({
  name: 'charge',
  version: '1.0.0',
  licence: 'Apache-2.0',
  nodes: {
    card: {
      title: 'Charge a card',
      category: 'payment',
      input: amount,
      output: { type: 'object', required: ['charge'] },
      errors: { DECLINED: 'The card was declined' },
      examples: [
        {
          title: 'Accepted',
          input: { order: 'o1', amount_cents: 990 },
          output: { charge: 'c1' },
          httpTape: [
            {
              request: { method: 'POST', connection: 'bank', path: '/charges', body: { order: 'o1', amount_cents: 990 } },
              response: { status: 201, body: { id: 'c1' } },
            },
          ],
        },
      ],

      run({ input }) {
        const { id } = request({ method: 'POST', connection: 'bank', path: '/charges', json: input }).accepted();
        return { charge: id };
      },

      // The bank knows the charge by the key that the host sent with it, also where we do not know what became of it.
      undo({ call }) {
        request({ method: 'POST', connection: 'bank', path: '/refunds', json: { key: call.forwardKey } }).accepted();
      },

      query({ call }) {
        const found = request({ connection: 'bank', path: `/charges?key=${encodeURIComponent(call.key)}` });
        return found.status === 404 ? neverRan : { charge: found.accepted().id };
      },
    },
  },
});
