import { quiet, settled } from './browser.mjs';

// The places worth looking at, each a way to get there from a signed-in page. What is `alike` is made of the same parts
// as another: it is looked at, and not tested for accessibility again.
const visit = (path, ready) => async (page, engine) => {
  await page.goto(engine.url + path);
  await page.waitForSelector(ready);
  await quiet(page);
};

export const scenes = [
  {
    name: 'login',
    show: async (page, engine) => {
      await page.context().clearCookies();
      await page.goto(engine.url);
      await page.waitForSelector('form');
    },
  },
  { name: 'home', show: visit('/', '.tiles') },
  { name: 'flows', show: visit('/flows', '.cards') },
  {
    name: 'new-flow',
    show: async (page, engine) => {
      await visit('/flows', '.cards')(page, engine);
      await page.click('.page-head .btn.primary');
      await page.waitForSelector('dialog[open]');
      await page.fill('dialog .input', 'Refund an order');
    },
  },
  {
    name: 'palette',
    show: async (page, engine) => {
      await visit('/flows', '.cards')(page, engine);
      await page.keyboard.press('Control+k');
      await page.waitForSelector('dialog[open] [role=option]');
    },
  },
];

const designer = (key = 'community_order') => visit(`/flows/${key}`, '[data-face]');

scenes.push(
  { name: 'designer', show: designer() },
  {
    name: 'designer-node',
    show: async (page, engine) => {
      await designer()(page, engine);
      await page.click('[data-face=validate_stock]');
      await settled(page);
    },
  },
  {
    name: 'designer-edge',
    show: async (page, engine) => {
      await designer()(page, engine);
      await page.click('[data-face=pay_check]');
      await page.click('.way >> nth=0');
      await settled(page);
    },
  },
  { name: 'designer-order5', show: designer('order-5') },
  { name: 'designer-containers', show: designer('batch_order') },
);

/** An instance in the given state, found through the API with the page's own session. */
async function instanceIn(page, state, flow = 'community_order') {
  return page.evaluate(
    async ([wanted, key]) =>
      (await (await fetch(`/api/v1/instances?state=${wanted}&flow=${key}&limit=1`)).json()).items[0]?.id,
    [state, flow],
  );
}
const instance = (state, then) => async (page, engine) => {
  const id = await instanceIn(page, state);
  await visit(`/instances/${id}`, '[data-face]')(page, engine);
  await settled(page);
  await then?.(page);
};

scenes.push(
  { name: 'instances', show: visit('/instances?flow=community_order', 'tbody tr') },
  {
    name: 'instance-incident',
    show: instance('incident', async (page) => {
      await page.click('.banner');
    }),
  },
  {
    name: 'instance-waiting',
    show: instance('waiting', async (page) => {
      await page.click('[data-face=paid]');
    }),
  },
  { name: 'instance-compensated', show: instance('compensated') },
  {
    name: 'instance-completed',
    show: instance('completed', async (page) => {
      await page.click('#time-journal');
    }),
  },
);
/** A node of the large order, chosen from the outline: at some size its head may be under a panel. */
const inBatch = (id, key) => async (page, engine) => {
  await designer('batch_order')(page, engine);
  // Once shut it is saved as it is drawn.
  if (key && (await page.locator(`[data-face=${id}].card-node`).count()) === 0) {
    await page.focus(`[data-face=${id}]`);
    await page.keyboard.press(key);
  } else if (!key) await page.click(`[data-face=${id}]`);
  await page.waitForSelector(key ? `[data-face=${id}].card-node` : 'aside.right');
  await settled(page);
};
const standing = (businessKey, node, then) => async (page, engine) => {
  const id = await page.evaluate(
    async (key) => (await (await fetch(`/api/v1/instances?businessKey=${key}`)).json()).items[0].id,
    businessKey,
  );
  await visit(`/instances/${id}`, '[data-face]')(page, engine);
  await page.click('[data-face=start]');
  await page.keyboard.press('f');
  await settled(page);
  if (node) await page.click(`[data-face=${node}]`);
  await settled(page);
  await then?.(page);
};
scenes.push({
  name: 'designer-inside',
  show: async (page, engine) => {
    await designer('batch_order')(page, engine);
    await page.focus('[data-face=pay]');
    await page.keyboard.press('d');
    await page.waitForSelector('.called [data-face=begin]');
    await settled(page);
  },
});
scenes.push({
  name: 'designer-triggers',
  show: async (page, engine) => {
    await designer('batch_order')(page, engine);
    await page.keyboard.press('i');
    await page.waitForSelector('aside.right .parts');
    await page.locator('aside.right .trigger').first().scrollIntoViewIfNeeded();
    await page.evaluate(() => document.querySelector('aside.right .trigger').scrollIntoView());
    await settled(page);
  },
});
scenes.push({
  name: 'designer-listeners',
  show: async (page, engine) => {
    await inBatch('prepare')(page, engine);
    // Once written it is saved, and the form is open.
    if ((await page.locator('[data-face=prepare] .heard').count()) === 0) {
      await page.locator('aside.right summary').last().click();
      await page.click('aside.right .adds:not([id]) .btn >> nth=0');
      await page.locator('aside.right .listener select').nth(1).selectOption('http/request@1');
      await page.click('aside.right .listener .more summary');
      await page.fill('aside.right .listener .more .adder input', 'rush');
      await page.press('aside.right .listener .more .adder input', 'Enter');
    }
    await page.waitForSelector('aside.right .listener .cm-content');
    await page.evaluate(() => document.querySelector('aside.right .listener').scrollIntoView());
    await settled(page);
  },
});
for (const id of ['prepare', 'each', 'approve', 'pick', 'pay', 'join'])
  scenes.push({ name: `designer-${id}`, show: inBatch(id) });
scenes.push(
  { name: 'designer-collapsed', show: inBatch('prepare', 'e') },
  { name: 'instance-items', show: standing('B-7', 'each') },
  { name: 'instance-call', show: standing('B-8', 'pay') },
  { name: 'instance-suspended', show: standing('B-9') },
  { name: 'instance-listener', alike: true, show: standing('B-10', 'each') },
);
/** One of the commands of the menu, by its place: words follow the language. */
const chosen = (place, ready) => async (page) => {
  await page.click('header .menu > .btn');
  if (place === null) return;
  await page.click(`[role=menu] li:nth-child(${place}) button`);
  await page.waitForSelector(ready);
};
scenes.push(
  {
    name: 'instances-bulk',
    show: async (page, engine) => {
      await visit('/instances?flow=community_order&state=waiting', 'tbody tr')(page, engine);
      await page.click('.page-head .btn >> nth=0');
      await page.waitForSelector('dialog .found strong');
    },
  },
  { name: 'instance-menu', show: instance('incident', chosen(null)) },
  { name: 'instance-suspend', alike: true, show: instance('waiting', chosen(1, 'dialog form')) },
  { name: 'instance-move', show: instance('waiting', chosen(4, '.bar[role=status]')) },
  { name: 'instance-migrate', show: instance('waiting', chosen(5, '.report')) },
  { name: 'instance-again', alike: true, show: instance('incident', chosen(7, 'dialog form')) },
  {
    name: 'instance-work',
    show: standing('B-7', 'pick', async (page) => {
      await page.click('.canvas aside .note .btn >> nth=0');
      await page.waitForSelector('dialog textarea');
    }),
  },
  {
    name: 'instance-inside',
    show: standing('B-8', 'pay', async (page) => {
      await page.click('.canvas aside .enter');
      await page.waitForSelector('.crumbs');
      await page.waitForSelector('[data-face=paid]');
    }),
  },
  { name: 'tasks', show: visit('/tasks', 'tbody tr') },
  { name: 'tasks-mine', alike: true, show: visit('/tasks?mine=1', '.empty') },
  { name: 'tasks-workers', alike: true, show: visit('/tasks?of=workers', 'tbody tr') },
  {
    name: 'tasks-answer',
    alike: true,
    show: async (page, engine) => {
      await visit('/tasks', 'tbody tr')(page, engine);
      await page.click('tbody .btn.primary >> nth=0');
      await page.waitForSelector('dialog .track');
    },
  },
  { name: 'connections', show: visit('/connections', '.connection') },
  {
    name: 'connection',
    show: async (page, engine) => {
      await visit('/connections', '.connection')(page, engine);
      await page.click('.connection .btn.tiny >> nth=0');
      await page.waitForSelector('dialog[open]');
    },
  },
  {
    name: 'grant',
    show: async (page, engine) => {
      await visit('/plugins/commerce/1.0.0/reach', '.chain')(page, engine);
      await page.click('.table .btn.tiny >> nth=2');
      await page.waitForSelector('dialog[open]');
    },
  },
  { name: 'reach', show: visit('/plugins/commerce/1.0.0/reach', '.chain') },
  { name: 'plugins', show: visit('/plugins', '.plugin') },
  {
    name: 'plugins-upload',
    show: async (page, engine) => {
      await visit('/plugins', '.plugin')(page, engine);
      const file = (name, text) => ({ name, mimeType: 'application/wasm', buffer: Buffer.from(text, 'latin1') });
      await page.setInputFiles('input[type=file]', [file('broken.wasm', 'not wasm')]);
      await page.waitForSelector('.up.refused');
      await page.setInputFiles('input[type=file]', [file('ship.wasm', '\0asm')]);
      await page.waitForSelector('.up.live');
      await page.click('.toast button');
      await page.waitForSelector('.toast', { state: 'detached' });
    },
  },
  {
    name: 'plugins-revoke',
    show: async (page, engine) => {
      await visit('/plugins', '.plugin')(page, engine);
      await page.click('.plugin:has(.tag) .acts .btn:last-child >> nth=0');
      await page.fill('dialog .input', 'It sends twice');
      await page.waitForSelector('dialog li');
    },
  },
  {
    name: 'plugins-roll',
    show: async (page, engine) => {
      await visit('/plugins', '.plugin')(page, engine);
      await page.click('.acts .btn:first-child:not(:last-child) >> nth=0');
      await page.waitForSelector('dialog li');
    },
  },
  {
    name: 'records',
    show: async (page, engine) => {
      await page.evaluate(seedRecords);
      await visit('/records?type=order', 'tbody tr')(page, engine);
    },
  },
  {
    name: 'records-one',
    alike: true,
    show: async (page, engine) => {
      await page.evaluate(seedRecords);
      await visit('/records?type=order&status=PAYING', 'tbody tr')(page, engine);
      await page.click('tbody .id >> nth=0');
      await page.waitForSelector('dialog dl');
    },
  },
  { name: 'tables', show: visit('/tables', 'tbody tr') },
  { name: 'table', show: visit('/tables/order_types', 'tbody tr') },
  { name: 'audit', show: visit('/audit', 'tbody tr') },
  { name: 'bindings', show: visit('/bindings', 'tbody tr') },
  {
    name: 'binding',
    show: async (page, engine) => {
      await page.evaluate(() =>
        fetch('/api/v1/flows/community_order/bindings', {
          method: 'PUT',
          headers: { 'content-type': 'application/json', 'stepwell-csrf': '1', 'if-none-match': '*' },
          body: JSON.stringify({
            binding: {
              rules: [{ name: 'pilot', keys: ['c-17'], prefixes: ['vip-'], version: 1 }],
              split: {
                variants: [
                  { name: 'a', version: 1, weight: 90 },
                  { name: 'b', version: 1, weight: 10, enabled: false },
                ],
              },
              fallback: 1,
            },
          }),
        }),
      );
      await visit('/flows/community_order/versions', 'li.rule')(page, engine);
      await page.fill('form textarea >> nth=0', 'vip-7\nother');
      await page.click('form .btn');
      await page.waitForSelector('.foreseen td');
    },
  },
  {
    name: 'route',
    show: async (page, engine) => {
      await visit('/routes/orders', '.page-head h1')(page, engine);
      await page.click('section .btn.tiny:not([disabled])');
      await page.waitForSelector('li.rule');
    },
  },
  {
    name: 'designer-new',
    show: async (page, engine) => {
      await page.evaluate(() =>
        fetch('/api/v1/flows/refund/draft', {
          method: 'PUT',
          headers: { 'content-type': 'application/json', 'stepwell-csrf': '1', 'if-none-match': '*' },
          body: JSON.stringify({
            document: {
              stepwell: 1,
              kind: 'graph',
              key: 'refund',
              title: 'Refund an order',
              nodes: { start: { type: 'start' }, end: { type: 'end', output: {} } },
              edges: [{ from: 'start', to: 'end' }],
            },
          }),
        }),
      );
      await visit('/flows/refund', '[data-face]')(page, engine);
    },
  },
  {
    name: 'designer-start',
    show: async (page, engine) => {
      await designer()(page, engine);
      await page.keyboard.press('s');
      await page.waitForSelector('dialog form');
    },
  },
  {
    name: 'designer-publish',
    show: async (page, engine) => {
      await designer()(page, engine);
      await page.keyboard.press('Control+Enter');
      await page.waitForSelector('dialog[open]');
    },
  },
  {
    name: 'designer-add',
    show: async (page, engine) => {
      await designer()(page, engine);
      await page.focus('[data-face=lock_pickup]');
      await page.keyboard.press('a');
      await page.waitForSelector('dialog [role=option]');
    },
  },
  {
    name: 'designer-table',
    show: async (page, engine) => {
      await designer('order-5')(page, engine);
      await page.keyboard.press('o');
      await page.click('.outline button:has-text("Discount"), .outline button:has-text("折扣")');
      await page.click('aside.right .btn:has-text("table"), aside.right .btn:has-text("决策表")');
      await page.waitForSelector('dialog table');
    },
  },
);

/** In the page: a record type and a few orders. */
async function seedRecords() {
  const put = (path, headers, body) =>
    fetch(`/api/v1${path}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'stepwell-csrf': '1', ...headers },
      body: JSON.stringify(body),
    });
  const status = (name, code, en, zh, terminal = false) => ({ name, code, title: { en, 'zh-CN': zh }, terminal });
  const document = {
    stepwell: 1,
    kind: 'record',
    key: 'order',
    title: { en: 'Order', 'zh-CN': '订单' },
    statuses: [
      status('CREATED', 10, 'Created', '已创建'),
      status('PAYING', 20, 'Paying', '支付中'),
      status('PAID', 30, 'Paid', '已支付', true),
    ],
  };
  await put('/record-types/order', {}, { document });
  for (const [id, state] of [
    ['C-20261120-0007', 'PAYING'],
    ['C-20261120-0008', 'PAID'],
    ['C-20261120-0009', 'CREATED'],
  ])
    await put(
      `/records/order/${id}`,
      { 'if-none-match': '*' },
      { status: state, body: { sku: 'milk', amount_cents: 1990 } },
    );
}
scenes.push(
  {
    name: 'setup',
    show: async (page, engine) => {
      const people = engine.mock?.engine.people;
      if (people) people.administered = false;
      await page.goto(`${engine.url}/?setup=link`);
      await page.waitForSelector('#login-again');
      if (people) people.administered = true;
    },
  },
  { name: 'users', show: visit('/users', 'tbody tr') },
  {
    name: 'users-add',
    show: async (page, engine) => {
      await visit('/users', 'tbody tr')(page, engine);
      await page.click('.page-head .btn.primary');
      await page.waitForSelector('dialog[open] fieldset');
      await page.fill('dialog .field .input', 'wang.fang');
    },
  },
  {
    name: 'users-made',
    alike: 'users-add',
    show: async (page, engine) => {
      await visit('/users', 'tbody tr')(page, engine);
      await page.click('.page-head .btn.primary');
      await page.fill('dialog .field .input', `wang.fang.${Date.now()}`);
      await page.click('dialog footer .btn.primary');
      await page.waitForSelector('dialog input[readonly]');
    },
  },
  { name: 'tokens', alike: 'users', show: visit('/tokens', 'tbody tr') },
  { name: 'account', alike: 'setup', show: visit('/account', 'section form') },
  {
    name: 'account-menu',
    show: async (page, engine) => {
      await visit('/tokens', 'tbody tr')(page, engine);
      await page.click('nav .foot [aria-haspopup=menu]');
      await page.waitForSelector('[role=menuitem]');
    },
  },
);
