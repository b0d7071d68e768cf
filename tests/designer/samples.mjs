// What the stand-in engine knows at start: node types, plugins and flows, shaped like the real ones.
const bilingual = (en, zh) => ({ en, 'zh-CN': zh });
const object = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const str = (title, extra = {}) => ({ type: 'string', title, ...extra });
const int = (title, extra = {}) => ({ type: 'integer', title, ...extra });

const svg = (body) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">${body}</svg>`;

const ICONS = {
  stock: svg('<path d="M3 8l9-5 9 5v8l-9 5-9-5z"/><path d="M3 8l9 5 9-5M12 13v8"/>'),
  locker: svg(
    '<rect x="4" y="3" width="16" height="18" rx="2"/><path d="M12 3v18M4 12h16M9 7.5h0M15 7.5h0M9 16.5h0M15 16.5h0"/>',
  ),
  truck: svg(
    '<path d="M2 6h12v10H2zM14 10h4l4 3.5V16h-8z"/><circle cx="6.5" cy="17.5" r="2"/><circle cx="17.5" cy="17.5" r="2"/>',
  ),
  route: svg(
    '<circle cx="6" cy="18" r="2.5"/><circle cx="18" cy="6" r="2.5"/><path d="M8.5 18H15a3.5 3.5 0 0 0 0-7H9a3.5 3.5 0 0 1 0-7h6.5"/>',
  ),
  card: svg('<rect x="3" y="5" width="18" height="14" rx="2"/><path d="M3 10h18M7 15h3"/>'),
  pay: svg('<circle cx="12" cy="12" r="9"/><path d="M8.5 7.5L12 12l3.5-4.5M12 12v5M9 12.5h6M9 15h6"/>'),
  globe: svg('<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18"/>'),
  braces: svg(
    '<path d="M8 3H7a2 2 0 0 0-2 2v5a2 2 0 0 1-2 2 2 2 0 0 1 2 2v5a2 2 0 0 0 2 2h1M16 3h1a2 2 0 0 1 2 2v5a2 2 0 0 0 2 2 2 2 0 0 0-2 2v5a2 2 0 0 1-2 2h-1"/>',
  ),
  check: svg('<path d="M9 3h6v3H9zM15 4.5h3V21H6V4.5h3M9 13l2 2 4-4"/>'),
  price: svg('<path d="M3 3h9l9 9-9 9-9-9z"/><circle cx="8" cy="8" r="1.5"/>'),
  code: svg('<path d="M8 7l-5 5 5 5M16 7l5 5-5 5M14 4l-4 16"/>'),
};

function nodeType(id, major, plugin, effect, title, summary, category, icon, rest) {
  return {
    id,
    major,
    uses: `${id}@${major}`,
    plugin: `${plugin}`,
    digest: digestOf(plugin),
    effect,
    title,
    summary,
    category,
    icon: ICONS[icon],
    undo: false,
    resume: false,
    query: false,
    errors: [],
    examples: [],
    config: { type: 'object', properties: {}, additionalProperties: false },
    ...rest,
  };
}

function digestOf(text) {
  let hash = 0x811c9dc5;
  let out = '';
  for (let round = 0; out.length < 64; round += 1) {
    for (const letter of `${text}${round}`) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
    out += hash.toString(16).padStart(8, '0');
  }
  return out;
}

const COMMERCE = bilingual('Commerce', '电商');
const PAYMENT = bilingual('Payment', '支付');
const ORDER = bilingual('Order', '订单');
const BASICS = bilingual('Basics', '基础');

export const nodeTypes = [
  nodeType(
    'commerce/reserve-stock',
    1,
    'commerce@0.1.0',
    'external',
    bilingual('Reserve stock', '预占库存'),
    bilingual('Takes a quantity of one SKU out of the sellable stock.', '从可售库存中预占指定数量的 SKU。'),
    COMMERCE,
    'stock',
    {
      undo: true,
      query: true,
      config: {
        type: 'object',
        properties: {
          service: str(bilingual('Service address', '服务地址'), { format: 'uri', default: 'http://127.0.0.1:7171' }),
        },
        additionalProperties: false,
      },
      input: object({
        sku: str('SKU', { minLength: 1, examples: ['SKU-1001'] }),
        quantity: int(bilingual('Quantity', '数量'), { minimum: 1, examples: [2] }),
      }),
      ports: [
        {
          name: 'out',
          title: bilingual('Reserved', '已预占'),
          output: object({
            reservation: str(bilingual('Reservation', '预占单号')),
            remaining: int(bilingual('Remaining', '剩余')),
          }),
        },
      ],
      errors: [{ code: 'OUT_OF_STOCK', title: bilingual('Out of stock', '库存不足') }],
      examples: [
        {
          title: bilingual('Two kettles', '两个水壶'),
          config: {},
          input: { sku: 'SKU-1001', quantity: 2 },
          port: 'out',
          output: { reservation: 'R-8841', remaining: 40 },
        },
      ],
    },
  ),
  nodeType(
    'commerce/lock-locker',
    1,
    'commerce@0.1.0',
    'external',
    bilingual('Lock a locker', '锁定自提柜'),
    bilingual('Books a free pickup locker in a community.', '在社区内锁定一个空闲自提柜。'),
    COMMERCE,
    'locker',
    {
      undo: true,
      input: object({ community: str(bilingual('Community', '社区'), { examples: ['C-17'] }) }),
      ports: [
        {
          name: 'out',
          title: bilingual('Locked', '已锁定'),
          output: object({ locker: str(bilingual('Locker', '柜号')) }),
        },
      ],
      errors: [{ code: 'NO_LOCKER', title: bilingual('No free locker', '无空闲柜') }],
      examples: [{ config: {}, input: { community: 'C-17' }, port: 'out', output: { locker: 'A-07' } }],
    },
  ),
  nodeType(
    'commerce/assign-logistics',
    1,
    'commerce@0.1.0',
    'external',
    bilingual('Assign logistics', '分配物流'),
    bilingual('Picks a carrier and a route.', '选择承运商与线路。'),
    COMMERCE,
    'route',
    {
      undo: true,
      input: object({
        order: str(bilingual('Order', '订单')),
        region: { type: 'string', title: bilingual('Region', '区域'), enum: ['north', 'south', 'west'] },
      }),
      ports: [{ name: 'out', output: object({ carrier: str(bilingual('Carrier', '承运商')) }) }],
      examples: [{ config: {}, input: { order: 'O-1', region: 'north' }, port: 'out', output: { carrier: 'SF' } }],
    },
  ),
  nodeType(
    'commerce/ship',
    1,
    'commerce@0.1.0',
    'external',
    bilingual('Ship', '发货'),
    bilingual('Hands the parcel over to the carrier.', '把包裹交给承运商。'),
    COMMERCE,
    'truck',
    {
      undo: true,
      input: object({ order: str(bilingual('Order', '订单'), { examples: ['O-2026-1'] }) }),
      ports: [
        {
          name: 'out',
          title: bilingual('Shipped', '已发货'),
          output: object({ parcel: str(bilingual('Parcel', '包裹号')) }),
        },
      ],
      errors: [{ code: 'ADDRESS_REFUSED', title: bilingual('Address refused', '地址被拒') }],
      examples: [{ config: {}, input: { order: 'O-2026-1' }, port: 'out', output: { parcel: 'P-553120' } }],
    },
  ),
  nodeType(
    'payment/begin',
    1,
    'payment@0.1.0',
    'external',
    bilingual('Begin payment', '发起支付'),
    bilingual(
      'Opens a payment at the gateway and returns at once; wait for its message after.',
      '在支付网关发起支付并立即返回，之后等待其消息。',
    ),
    PAYMENT,
    'card',
    {
      undo: true,
      query: true,
      config: {
        type: 'object',
        properties: {
          merchant: str(bilingual('Merchant', '商户'), { default: 'stepwell-demo' }),
          secret: str(bilingual('Signing secret', '签名密钥'), { format: 'secret', default: '$secret:GATEWAY' }),
          channel: {
            type: 'string',
            title: bilingual('Channel', '渠道'),
            enum: ['app', 'mini-program', 'web'],
            default: 'app',
          },
        },
        additionalProperties: false,
      },
      input: object({
        order: str(bilingual('Order', '订单')),
        amount_cents: int(bilingual('Amount', '金额'), {
          minimum: 1,
          format: 'money',
          description: bilingual('In minor units, such as cents.', '以最小货币单位（分）计。'),
        }),
      }),
      ports: [
        {
          name: 'out',
          title: bilingual('Begun', '已发起'),
          output: object({ payment: str(bilingual('Payment', '支付单号')), url: str('URL') }),
        },
      ],
      errors: [{ code: 'PAYMENT_MISMATCH', title: bilingual('Amount does not match', '金额不一致') }],
      examples: [
        {
          config: {},
          input: { order: 'O-2026-1', amount_cents: 25800 },
          port: 'out',
          output: { payment: 'PAY-77120', url: 'https://pay.example/77120' },
        },
      ],
    },
  ),
  nodeType(
    'payment/pay',
    1,
    'payment@0.1.0',
    'external',
    bilingual('Pay and wait', '支付并等待'),
    bilingual('Begins a payment, waits for the callback and goes on.', '发起支付，等待回调后继续。'),
    PAYMENT,
    'pay',
    {
      undo: true,
      resume: true,
      query: true,
      input: object({
        order: str(bilingual('Order', '订单')),
        amount_cents: int(bilingual('Amount', '金额'), { minimum: 1, format: 'money' }),
      }),
      ports: [
        { name: 'paid', title: bilingual('Paid', '已支付'), output: object({ payment: str('Payment') }) },
        { name: 'declined', title: bilingual('Declined', '已拒绝'), output: object({ reason: str('Reason') }) },
      ],
      examples: [
        { config: {}, input: { order: 'O-1', amount_cents: 100 }, port: 'paid', output: { payment: 'PAY-1' } },
      ],
    },
  ),
  nodeType(
    'order/validate',
    0,
    'order@0.1.0',
    'pure',
    bilingual('Validate order', '校验订单'),
    bilingual('Checks items, region and customer.', '校验商品、区域与客户。'),
    ORDER,
    'check',
    {
      input: { type: 'object' },
      ports: [{ name: 'out', output: { type: 'object' } }],
      errors: [{ code: 'ORDER_INVALID', title: bilingual('Order is not valid', '订单不合法') }],
      examples: [{ config: {}, input: { order_id: 'O-1' }, port: 'out', output: { valid: true } }],
    },
  ),
  nodeType(
    'order/price',
    0,
    'order@0.1.0',
    'pure',
    bilingual('Price items', '计算商品金额'),
    bilingual('Adds up quantity times unit price.', '累加数量乘以单价。'),
    ORDER,
    'price',
    {
      input: object({
        items: {
          type: 'array',
          title: bilingual('Items', '商品'),
          items: object({ sku: str('SKU'), qty: int('Qty', { minimum: 1 }), unit_cents: int('Unit', { minimum: 0 }) }),
        },
      }),
      ports: [{ name: 'out', output: object({ subtotal_cents: int('Subtotal') }) }],
      examples: [
        {
          config: {},
          input: { items: [{ sku: 'SKU-1', qty: 2, unit_cents: 12900 }] },
          port: 'out',
          output: { subtotal_cents: 37760 },
        },
      ],
    },
  ),
  nodeType(
    'order/shipping',
    0,
    'order@0.1.0',
    'pure',
    bilingual('Shipping fee', '计算运费'),
    bilingual('Fee by region and total weight.', '按区域与总重计算运费。'),
    ORDER,
    'truck',
    {
      input: object({
        region: { type: 'string', enum: ['north', 'south', 'west'], title: bilingual('Region', '区域') },
        items: { type: 'array', title: bilingual('Items', '商品'), items: { type: 'object' } },
        ships: { type: 'boolean', title: bilingual('Ships', '需要发货') },
      }),
      ports: [{ name: 'out', output: object({ shipping_cents: int('Shipping') }) }],
      examples: [
        {
          config: {},
          input: { region: 'north', items: [], ships: true },
          port: 'out',
          output: { shipping_cents: 1500 },
        },
      ],
    },
  ),
  nodeType(
    'http/request',
    1,
    'http@0.1.0',
    'external',
    bilingual('HTTP request', 'HTTP 请求'),
    bilingual('Calls a granted connection.', '调用已授权的连接。'),
    BASICS,
    'globe',
    {
      config: {
        type: 'object',
        required: ['method', 'url'],
        additionalProperties: false,
        properties: {
          method: {
            type: 'string',
            title: bilingual('Method', '方法'),
            enum: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
            default: 'GET',
          },
          url: str('URL', {
            format: 'uri',
            description: bilingual('Must lie within a granted connection.', '必须位于已授权的连接之内。'),
            examples: ['https://api.example.com/orders'],
          }),
          headers: { type: 'object', title: bilingual('Headers', '请求头'), additionalProperties: { type: 'string' } },
          expect: {
            title: bilingual('Success is', '成功条件'),
            oneOf: [
              {
                title: bilingual('Any 2xx status', '任意 2xx 状态'),
                type: 'object',
                properties: { kind: { const: 'any' } },
                required: ['kind'],
              },
              {
                title: bilingual('One of these statuses', '指定状态码'),
                type: 'object',
                properties: {
                  kind: { const: 'list' },
                  statuses: {
                    type: 'array',
                    title: bilingual('Statuses', '状态码'),
                    items: { type: 'integer', minimum: 100, maximum: 599 },
                  },
                },
                required: ['kind', 'statuses'],
              },
            ],
          },
          follow: { type: 'boolean', title: bilingual('Follow redirects', '跟随重定向'), default: false },
        },
      },
      input: {
        type: 'object',
        properties: {
          query: { type: 'object', title: bilingual('Query', '查询参数'), additionalProperties: { type: 'string' } },
          body: { title: bilingual('Body', '请求体') },
        },
      },
      ports: [
        { name: 'out', title: bilingual('Answered', '已响应'), output: object({ status: int('Status'), body: {} }) },
      ],
      errors: [
        { code: 'HTTP_4XX', title: bilingual('Refused (4xx)', '请求被拒（4xx）') },
        { code: 'NOT_GRANTED', title: bilingual('Not granted', '未授权') },
      ],
      examples: [
        {
          config: { method: 'GET', url: 'https://api.example.com/orders' },
          input: {},
          port: 'out',
          output: { status: 200, body: { ok: true } },
        },
      ],
    },
  ),
  nodeType(
    'json/transform',
    1,
    'json@0.1.0',
    'pure',
    bilingual('Transform', '转换'),
    bilingual('Shapes a new value out of expressions.', '用表达式构造新值。'),
    BASICS,
    'braces',
    {
      input: { type: 'object', title: bilingual('Fields', '字段'), additionalProperties: true },
      ports: [{ name: 'out', output: { type: 'object' } }],
      examples: [{ config: {}, input: { name: 'Wei' }, port: 'out', output: { name: 'Wei' } }],
    },
  ),
  nodeType(
    'script/js',
    1,
    'script@0.1.0',
    'pure',
    bilingual('JavaScript', 'JavaScript 脚本'),
    bilingual('A short script in its own sandbox.', '在独立沙箱中运行的小脚本。'),
    BASICS,
    'code',
    {
      config: {
        type: 'object',
        required: ['source'],
        additionalProperties: false,
        properties: {
          source: str(bilingual('Script', '脚本'), {
            format: 'code',
            'x-language': 'javascript',
            default: 'export default (input) => ({ ...input })',
          }),
        },
      },
      input: { type: 'object', additionalProperties: true },
      ports: [{ name: 'out', output: {} }],
      examples: [{ config: {}, input: { a: 1 }, port: 'out', output: { a: 1 } }],
    },
  ),
];

const IMPORTS = {
  pure: ['stepwell:node/types'],
  external: [
    'stepwell:node/types',
    'stepwell:node/host',
    'wasi:clocks/monotonic-clock@0.2',
    'wasi:http/outgoing-handler@0.2',
  ],
};

export const plugins = ['commerce', 'payment', 'order', 'http', 'json', 'script'].map((name, index) => {
  const mine = nodeTypes.filter((type) => type.plugin.startsWith(`${name}@`));
  const effect = mine[0].effect;
  return {
    name,
    version: '0.1.0',
    digest: mine[0].digest,
    effect,
    bytes: [84_120, 71_804, 62_340, 133_900, 48_200, 912_400][index],
    imports: IMPORTS[effect],
    loadedAt: new Date(Date.now() - 3_600_000 * (index + 2)).toISOString(),
    nodeTypes: mine,
    usedBy:
      {
        commerce: [{ flow: 'community_order', version: 3 }],
        payment: [{ flow: 'community_order', version: 3 }],
        order: [{ flow: 'order-5', version: 1 }],
      }[name] ?? [],
    status: 'live',
  };
});

export const communityOrder = {
  stepwell: 1,
  kind: 'graph',
  key: 'community_order',
  title: bilingual('Community order', '社区电商订单'),
  input: {
    type: 'object',
    required: ['orderId', 'sku', 'quantity', 'amount_cents'],
    properties: {
      orderId: str(bilingual('Order number', '订单号'), { minLength: 1, examples: ['O-2026-1048'] }),
      sku: str('SKU', { examples: ['SKU-1001'] }),
      quantity: int(bilingual('Quantity', '数量'), { minimum: 1, examples: [2] }),
      amount_cents: int(bilingual('Amount', '金额'), { minimum: 1, format: 'money', examples: [25800] }),
      communityId: str(bilingual('Community', '社区'), { examples: ['C-17'] }),
      urgent: { type: 'boolean', title: bilingual('Urgent', '加急') },
    },
  },
  businessKey: '=input.orderId',
  nodes: {
    start: { type: 'start' },
    validate_stock: {
      type: 'task',
      title: bilingual('Reserve stock', '预占库存'),
      uses: 'commerce/reserve-stock@1',
      with: { sku: '=input.sku', quantity: '=input.quantity' },
      timeout: '3s',
      retry: { attempts: 3, backoff: '200ms', factor: 2, max: '5s' },
      undo: true,
      on: { sold_out: { type: 'error', code: 'OUT_OF_STOCK', interrupting: true } },
    },
    lock_pickup: {
      type: 'task',
      title: bilingual('Lock pickup locker', '锁定自提柜'),
      uses: 'commerce/lock-locker@1',
      with: { community: '=input.communityId' },
      undo: true,
    },
    create_payment: {
      type: 'task',
      title: bilingual('Begin payment', '发起支付'),
      uses: 'payment/begin@1',
      with: { order: '=input.orderId', amount_cents: '=input.amount_cents' },
      undo: true,
    },
    paid: {
      type: 'receive',
      title: bilingual('Payment result', '支付结果'),
      message: 'payment',
      key: '=input.orderId',
      timeout: '30m',
    },
    pay_check: { type: 'exclusive', title: bilingual('Paid?', '支付成功？') },
    ship_goods: {
      type: 'task',
      title: bilingual('Ship goods', '发货'),
      uses: 'commerce/ship@1',
      with: { order: '=input.orderId' },
    },
    cancel_order: { type: 'compensate', title: bilingual('Undo the order', '撤销订单') },
    sold_out_end: { type: 'end', title: bilingual('Sold out', '已售罄'), output: { status: 'SOLD_OUT' } },
    done: {
      type: 'end',
      title: bilingual('Shipped', '已发货'),
      output: { status: 'SHIPPED', parcel: '=nodes.ship_goods.parcel' },
    },
    cancelled: { type: 'end', title: bilingual('Cancelled', '已取消'), output: { status: 'CANCELLED' } },
  },
  edges: [
    { from: 'start', to: 'validate_stock' },
    { from: 'validate_stock', to: 'lock_pickup' },
    { from: 'validate_stock', port: 'sold_out', to: 'sold_out_end' },
    { from: 'lock_pickup', to: 'create_payment' },
    { from: 'create_payment', to: 'paid' },
    { from: 'paid', to: 'pay_check' },
    { from: 'paid', port: 'timeout', to: 'cancel_order' },
    { from: 'pay_check', to: 'ship_goods', when: "nodes.paid.status == 'PAID'" },
    { from: 'pay_check', to: 'cancel_order', default: true },
    { from: 'ship_goods', to: 'done' },
    { from: 'cancel_order', to: 'cancelled' },
  ],
};

export const order5 = {
  stepwell: 1,
  kind: 'graph',
  key: 'order-5',
  title: bilingual('Order in five steps', '五步下单'),
  input: {
    type: 'object',
    required: ['order_id', 'type', 'region', 'items'],
    properties: {
      order_id: str(bilingual('Order number', '订单号'), { examples: ['A-1'] }),
      type: { type: 'string', title: bilingual('Type', '类型'), enum: ['physical', 'virtual'] },
      region: { type: 'string', title: bilingual('Region', '区域'), enum: ['north', 'south', 'west'] },
      items: {
        type: 'array',
        title: bilingual('Items', '商品'),
        items: object({ sku: str('SKU'), qty: int('Qty'), unit_cents: int('Unit') }),
      },
    },
  },
  triggers: [{ type: 'http', path: 'order-5', auth: 'token', wait: '10s' }],
  nodes: {
    start: { type: 'start' },
    validate: { type: 'task', uses: 'order/validate@0', with: { order: '=input' } },
    route: { type: 'exclusive', title: bilingual('Ships?', '需要发货？') },
    warehouse: {
      type: 'set',
      title: bilingual('Warehouse', '仓库'),
      vars: { fulfilment: 'warehouse', ships: '=true' },
    },
    email: { type: 'set', title: bilingual('E-mail', '邮件'), vars: { fulfilment: 'email', ships: '=false' } },
    merge: { type: 'exclusive' },
    split: { type: 'parallel' },
    price: { type: 'task', uses: 'order/price@0', with: { items: '=input.items' } },
    shipping: {
      type: 'task',
      uses: 'order/shipping@0',
      with: { region: '=input.region', items: '=input.items', ships: '=vars.ships' },
    },
    join: { type: 'parallel' },
    discount: {
      type: 'decision',
      title: bilingual('Discount', '折扣'),
      table: {
        hitPolicy: 'first',
        inputs: [
          { id: 'tier', name: 'Tier', field: 'input.customer.tier' },
          { id: 'sub', name: 'Subtotal', field: 'nodes.price.subtotal_cents' },
        ],
        outputs: [{ id: 'pct', name: 'Percent', field: 'pct' }],
        rules: [
          { _id: '1', tier: '"platinum"', sub: '>= 50000', pct: '20' },
          { _id: '2', tier: '"platinum"', sub: '', pct: '12' },
          { _id: '3', tier: '"gold"', sub: '>= 50000', pct: '15' },
          { _id: '4', tier: '"gold"', sub: '>= 20000', pct: '10' },
          { _id: '5', tier: '', sub: '', pct: '0' },
        ],
      },
    },
    reply: {
      type: 'reply',
      output: { status: 'accepted', total_cents: '=nodes.price.subtotal_cents + nodes.shipping.shipping_cents' },
    },
    end: { type: 'end', output: { status: 'accepted' } },
  },
  edges: [
    { from: 'start', to: 'validate' },
    { from: 'validate', to: 'route' },
    { from: 'route', to: 'warehouse', when: "input.type == 'physical'" },
    { from: 'route', to: 'email', default: true },
    { from: 'warehouse', to: 'merge' },
    { from: 'email', to: 'merge' },
    { from: 'merge', to: 'split', default: true },
    { from: 'split', to: 'price' },
    { from: 'split', to: 'shipping' },
    { from: 'price', to: 'join' },
    { from: 'shipping', to: 'join' },
    { from: 'join', to: 'discount' },
    { from: 'discount', to: 'reply' },
    { from: 'reply', to: 'end' },
  ],
};
