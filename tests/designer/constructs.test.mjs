// Every construct drawn as a person draws it, and containers: in, out, shut, copied, by mouse and by keyboard.
import assert from 'node:assert/strict';
import { settled } from './browser.mjs';
import { draft, fill, newFlow, noProblems, saved, tabTo, unique } from './drawing.mjs';
import { ask, publish } from './operator.test.mjs';

/** Puts the keyboard onto a node, with nothing else chosen: what is chosen counts before where the keyboard stands. */
async function stand(page, id) {
  await page.focus(`[data-face=${id}]`);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement?.closest('aside.right'));
  await page.keyboard.press('Escape');
  await page.waitForSelector('aside.right', { state: 'detached' });
  await page.focus(`[data-face=${id}]`);
}
/** Waits for a picker that is asked anew, and answers it. */
async function answer(page, word) {
  await page.waitForFunction(() => {
    const field = document.querySelector('dialog [role=combobox]');
    return field?.value === '' && document.activeElement === field;
  });
  await page.keyboard.type(word);
  await page.keyboard.press('Enter');
}
/** Adds behind (or on the line after) a node, by keyboard. */
async function add(page, after, word, name, key = 'a') {
  await stand(page, after);
  await page.keyboard.press(key);
  await answer(page, word);
  await page.waitForFunction((id) => document.activeElement?.getAttribute('data-face') === id, name);
}
/** Connects two nodes by keyboard; `port` where the source has several. */
async function connect(page, from, to, port) {
  await stand(page, from);
  await page.keyboard.press('c');
  for (const word of [port, to].filter(Boolean)) await answer(page, word);
  await page.waitForSelector('dialog', { state: 'detached' });
}
/** Waits until the canvas has come to rest: its moves are no animations that the page could tell of. */
async function still(page) {
  await settled(page);
  await page.evaluate(
    () =>
      new Promise((done) => {
        const view = document.querySelector('.svelte-flow__viewport');
        let [last, same] = ['', 0];
        const look = () => {
          same = view.style.transform === last ? same + 1 : 0;
          last = view.style.transform;
          if (same > 20) done();
          else requestAnimationFrame(look);
        };
        look();
      }),
  );
}
const middle = async (page, selector) => {
  const box = await page.locator(selector).boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2, box };
};
async function drag(page, from, to) {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(from.x + 12, from.y + 12, { steps: 3 });
  await page.mouse.move(to.x, to.y, { steps: 12 });
  await page.mouse.up();
}
const clipboard = (page, kind) =>
  page.evaluate((name) => {
    const data = new DataTransfer();
    if (name === 'paste') data.setData('text/plain', globalThis.copied);
    document.dispatchEvent(new ClipboardEvent(name, { clipboardData: data, bubbles: true, cancelable: true }));
    if (name === 'copy') globalThis.copied = data.getData('text/plain');
  }, kind);
const sorted = (document) =>
  document.edges.map((edge) => `${edge.from}${edge.port ? `.${edge.port}` : ''}>${edge.to}`).sort();

export const tests = [
  {
    name: 'people, workers, called flows and containers are drawn with the keyboard alone',
    needsMock: true,
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await page.evaluate(() => {
        globalThis.pointers = 0;
        addEventListener('pointerdown', () => (globalThis.pointers += 1), true);
      });
      await add(page, 'start', 'user task', 'user_task');
      await fill(page, 'user_task', 'input[placeholder="support, finance"]');
      await page.keyboard.type('finance, support');
      await add(page, 'user_task', 'external task', 'external_task');
      await fill(page, 'external_task', 'input[placeholder=shipping]');
      await page.keyboard.type('shipping');
      await add(page, 'external_task', 'sub-flow', 'call');
      await fill(page, 'call', 'select');
      await page.keyboard.type('Pay');
      // The form follows the input of the flow that is called.
      await page.waitForSelector('aside.right label[title=amount_cents]');
      await add(page, 'call', 'for each', 'for_each');
      await add(page, 'for_each', 'set variables', 'set', 'Shift+A');
      await add(page, 'for_each', 'stage', 'stage');
      await add(page, 'stage', 'timer', 'timer', 'Shift+A');
      await add(page, 'stage', 'parallel', 'parallel');
      await fill(page, 'parallel', 'details:not([open]) summary');
      await page.keyboard.press('Enter');
      await tabTo(page, 'aside.right select');
      await page.keyboard.type('The first');
      await fill(page, 'end', 'input[type=checkbox]');
      await page.keyboard.press('Space');
      await page.keyboard.press('Escape');
      await saved(page);
      const document = await draft(page, title);
      assert.equal(await page.evaluate(() => globalThis.pointers), 0, 'the pointer was never used');
      assert.deepEqual(document.nodes.user_task.groups, ['finance', 'support']);
      assert.equal(document.nodes.external_task.topic, 'shipping');
      assert.equal(document.nodes.call.flow, 'pay');
      assert.equal(document.nodes.set.in, 'for_each');
      assert.equal(document.nodes.timer.in, 'stage');
      assert.deepEqual(document.nodes.parallel.join, { count: 1 });
      assert.equal(document.nodes.end.terminate, true);
      assert.deepEqual(sorted(document), [
        'call>for_each',
        'external_task>call',
        'for_each>stage',
        'parallel>end',
        'stage>parallel',
        'start>user_task',
        'user_task>external_task',
      ]);
    },
  },
  {
    name: 'inclusive choices, first events and throws are drawn',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await add(page, 'start', 'timer', 'timer');
      await add(page, 'start', 'first event', 'event_gateway');
      await add(page, 'event_gateway', 'wait for message', 'receive');
      await fill(page, 'receive', 'input[placeholder=payment]');
      await page.keyboard.type('arrived');
      await add(page, 'timer', 'inclusive', 'inclusive');
      await connect(page, 'receive', 'end', 'out');
      await add(page, 'inclusive', 'throw', 'throw');
      await fill(page, 'throw', 'input[placeholder=SOLD_OUT]');
      await page.keyboard.type('TOO_LATE');
      await fill(page, 'inclusive', 'li:last-child .way');
      await page.keyboard.press('Enter');
      await tabTo(page, 'aside.right .cm-content');
      await page.keyboard.type('1 > 0');
      await noProblems(page);
      await saved(page);
      assert.deepEqual(sorted(await draft(page, title)), [
        'event_gateway>receive',
        'event_gateway>timer',
        'inclusive>end',
        'inclusive>throw',
        'receive>end',
        'start>event_gateway',
        'timer>inclusive',
      ]);
    },
  },
  {
    name: 'handlers of every kind are added, and those that let the node go on are dashed',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await add(page, 'start', 'user task', 'user_task');
      await page.click('[data-face=user_task]');
      await page.click('aside.right summary:has-text("Handlers")');
      for (const kind of ['Any error', 'Reminder', 'Message'])
        await page.click(`aside.right .adds button:has-text("${kind}")`);
      await page.waitForSelector('[data-face=user_task] .port-row:nth-of-type(4)');
      assert.equal(await page.locator('[data-face=user_task] .port-row .beside').count(), 1);
      await saved(page);
      assert.deepEqual((await draft(page, title)).nodes.user_task.on, {
        error: { type: 'error' },
        reminder: { type: 'timeout', after: '1h', interrupting: false },
        message: { type: 'message', message: '', key: '=flow.businessKey' },
      });
    },
  },
  {
    name: 'nodes are dragged into a container and out of it; a line across its border is refused with the reason',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await add(page, 'start', 'stage', 'stage');
      await add(page, 'stage', 'set variables', 'set', 'Shift+A');
      await add(page, 'stage', 'timer', 'timer');
      await page.keyboard.press('Escape');
      await page.keyboard.press('Shift+T');
      await page.keyboard.press('f');
      await still(page);
      const frame = await middle(page, '[data-frame=stage]');
      // A line from inside to the end.
      const handle = await middle(page, '.svelte-flow__node[data-id=set] .svelte-flow__handle.source');
      await drag(page, handle, await middle(page, '[data-face=end]'));
      await page.waitForSelector('.toast:has-text("stays inside")');
      await drag(page, await middle(page, '[data-face=timer]'), {
        x: frame.x + 60,
        y: frame.box.y + frame.box.height - 12,
      });
      await page.waitForFunction(() => document.querySelectorAll('.svelte-flow__edge').length === 2);
      await saved(page);
      const inside = await draft(page, title);
      assert.equal(inside.nodes.timer.in, 'stage');
      assert.deepEqual(sorted(inside), ['stage>end', 'start>stage']);
      await page.keyboard.press('Control+z');
      await page.waitForFunction(() => document.querySelectorAll('.svelte-flow__edge').length === 3);
      // By keyboard: in by the picker, out by a key.
      await page.focus('[data-face=timer]');
      await page.keyboard.press('Shift+I');
      await page.waitForSelector('dialog [role=option]');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => document.querySelectorAll('.svelte-flow__edge').length === 2);
      await page.focus('[data-face=timer]');
      await page.keyboard.press('Shift+O');
      await saved(page);
      await page.waitForFunction(
        async (key) => !(await (await fetch(`/api/v1/flows/${key}/draft`)).json()).document.nodes.timer.in,
        title,
      );
    },
  },
  {
    name: 'a container is shut and opened, copied with its contents and deleted with them',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await add(page, 'start', 'for each', 'for_each');
      await add(page, 'for_each', 'set variables', 'set', 'Shift+A');
      await page.focus('[data-face=for_each]');
      await page.keyboard.press('Escape');
      await page.focus('[data-face=for_each]');
      await page.keyboard.press('e');
      await page.waitForSelector('[data-face=for_each].card-node');
      assert.equal(await page.locator('[data-face=set]').count(), 0);
      await page.keyboard.press('e');
      await page.waitForSelector('[data-face=set]');
      await page.click('[data-face=for_each]');
      await clipboard(page, 'copy');
      await clipboard(page, 'paste');
      await page.waitForSelector('[data-face=set_2]');
      await saved(page);
      assert.equal((await draft(page, title)).nodes.set_2.in, 'for_each_2');
      await page.click('[data-face=for_each_2]');
      await page.keyboard.press('Delete');
      await page.waitForSelector('[data-face=set_2]', { state: 'detached' });
      assert.equal(await page.locator('[data-face=for_each_2]').count(), 0);
      await page.keyboard.press('Control+z');
      await page.waitForSelector('[data-face=set_2]');
    },
  },
  {
    name: 'a flow that is called and not at hand is checked by the engine',
    run: async (page, engine) => {
      await newFlow(page, engine, unique());
      await add(page, 'start', 'sub-flow', 'call');
      await page.waitForSelector('.btn.problems.errors');
      await page.click('.btn.problems');
      await page.waitForSelector('#problems:has-text("is published")');
    },
  },
  {
    name: 'schedules, signed paths, locks, cancels and what a for-each takes are written by their forms',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await page.keyboard.press('i');
      const settings = page.locator('aside.right');
      await settings.locator('summary:has-text("Triggers")').click();
      await settings.getByRole('button', { name: 'Add a schedule' }).click();
      await settings.getByLabel('How often').selectOption('weekdays');
      await settings.getByLabel('Time zone', { exact: true }).fill('Asia/Shanghai');
      assert.deepEqual(await settings.locator('.parts dd').allTextContents(), ['0', '9', '*', '*', '1-5']);
      await settings.getByRole('button', { name: 'Add a path' }).click();
      await settings.getByLabel('Who may call').selectOption('hmac');
      await settings.getByLabel('Connection').fill('shop');
      await settings.getByLabel('Secrets, by name').fill('HOOK, HOOK_OLD');
      await add(page, 'start', 'for each', 'for_each');
      await add(page, 'for_each', 'user task', 'user_task', 'Shift+A');
      await add(page, 'for_each', 'cancel steps', 'cancel');
      await page.click('[data-face=cancel]');
      await settings.locator('label:has(code:text-is("user_task"))').click();
      await page.click('[data-face=user_task]');
      await settings.locator('summary:has-text("Lock")').click();
      await settings.getByLabel('Name of the lock').fill('desk');
      await page.keyboard.press('Escape');
      await page.click('[data-face=for_each]');
      await settings.locator('summary:has-text("Enough")').click();
      await settings.getByRole('textbox', { name: 'Goes on when' }).fill('2');
      await settings.getByLabel('The others then').selectOption('await');
      await settings.locator('summary:has-text("More items")').click();
      await settings.getByRole('button', { name: 'Take more items' }).click();
      await settings.locator('input[placeholder=line-added]').fill('line-added');
      await saved(page);
      const { triggers, nodes } = await draft(page, title);
      assert.deepEqual(triggers, [
        { type: 'schedule', name: 'daily', schedule: '0 9 * * 1-5', timezone: 'Asia/Shanghai' },
        {
          type: 'http',
          path: `${title}-hook`,
          auth: {
            type: 'hmac',
            connection: 'shop',
            secrets: ['HOOK', 'HOOK_OLD'],
            header: 'X-Signature',
            prefix: 'sha256=',
          },
          wait: '10s',
        },
      ]);
      assert.deepEqual(nodes.cancel, { type: 'cancel', nodes: ['user_task'] });
      assert.equal(nodes.user_task.lock, 'desk');
      const { until, rest, more } = nodes.for_each;
      assert.deepEqual(
        { until, rest, more },
        { until: 2, rest: 'await', more: { message: 'line-added', key: '=flow.businessKey' } },
      );
    },
  },
  {
    name: 'listeners of a node and of the flow are written by their form, marked, and skipped where one failed',
    needsMock: true,
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      const form = page.locator('aside.right');
      const listener = (index) => form.locator('.listener').nth(index);
      await page.keyboard.press('i');
      await form.locator('summary:has-text("Listeners")').click();
      await form.getByRole('button', { name: 'end', exact: true }).click();
      await listener(0).getByLabel('Calls').selectOption('http/request@1');
      await listener(0).getByLabel('Timeout').fill('2s');
      await listener(0).getByLabel('Attempts').fill('2');
      await listener(0).getByLabel('If it fails').selectOption('ignore');
      assert.deepEqual(
        await listener(0)
          .getByLabel('If it fails')
          .locator('option')
          .evaluateAll((all) => all.map((one) => one.value)),
        ['incident', 'ignore'],
      );
      await page.waitForSelector('[data-face=start] .heard');
      await add(page, 'start', 'set variables', 'set');
      await page.click('[data-face=set]');
      await form.getByLabel('Priority', { exact: true }).fill('-5');
      await add(page, 'set', 'user task', 'user_task');
      await page.click('[data-face=user_task]');
      await form.locator('summary:has-text("Listeners")').click();
      await form.getByRole('button', { name: 'leave', exact: true }).click();
      await form.getByRole('button', { name: 'enter', exact: true }).click();
      await listener(1).getByRole('button', { name: 'Move up' }).click();
      await listener(0).getByLabel('If it fails').selectOption('fail');
      await listener(0).locator('summary').click();
      await listener(0).getByPlaceholder('variable').fill('rush');
      await listener(0).getByRole('button', { name: 'Add' }).click();
      // The editor is fetched, and takes the keyboard when it is there.
      await page.waitForFunction(() => document.activeElement?.matches('.listener .cm-content'));
      await page.keyboard.type('input.emergency');
      await listener(1).getByLabel('When').selectOption('error');
      await page.waitForSelector('[data-face=user_task] .heard[title="listener: enter, error"]');
      await saved(page);
      const { listeners, nodes } = await draft(page, title);
      assert.deepEqual(listeners, [
        { on: 'end', uses: 'http/request@1', timeout: '2s', retry: { attempts: 2 }, onFailure: 'ignore' },
      ]);
      assert.equal(nodes.set.priority, -5);
      assert.deepEqual(nodes.user_task.listeners, [
        { on: 'enter', onFailure: 'fail', set: { rush: '=input.emergency' } },
        { on: 'error' },
      ]);
      const { items } = await ask(page, 'GET', '/instances?businessKey=B-10');
      await page.goto(`${engine.url}/instances/${items[0].id}`);
      await page.click('.canvas aside .note.red:has-text("listener: enter") .btn:has-text("Skip")');
      assert.match(await page.textContent('dialog'), /goes on without it/);
      await page.click('dialog .btn.danger');
      await page.waitForSelector('[data-face=each][data-run=active]');
    },
  },
  {
    name: 'a called flow is looked into from the drawing that calls it, and back',
    run: async (page, engine) => {
      const [inner, outer] = [unique(), unique()];
      const flow = (key, nodes, edges) => ({ stepwell: 1, kind: 'graph', key, nodes, edges });
      const ends = { start: { type: 'start' }, end: { type: 'end', output: {} } };
      const line = (id) => [
        { from: 'start', to: id },
        { from: id, to: 'end' },
      ];
      await publish(page, flow(inner, { ...ends, deep: { type: 'set', vars: { a: 1 } } }, line('deep')));
      await publish(page, flow(outer, { ...ends, part: { type: 'call', flow: inner } }, line('part')));
      await page.goto(`${engine.url}/flows/${outer}`);
      await page.waitForSelector('[data-face=part]');
      await page.focus('[data-face=part]');
      await page.keyboard.press('d');
      await page.waitForSelector('.called [data-face=deep]');
      assert.match(await page.textContent('.crumbs'), /Version 1/);
      // Nothing is edited under it.
      await page.keyboard.press('Delete');
      await page.keyboard.press('u');
      await page.waitForSelector('.called', { state: 'detached' });
      await page.waitForSelector('[data-face=part]');
      await page.hover('[data-face=part]');
      await page.click('.card-node.call + button');
      await page.waitForSelector('.called [data-face=deep]');
      await page.click('.crumbs li button');
      await page.waitForSelector('.called', { state: 'detached' });
    },
  },
  {
    name: 'a run of a called flow is watched on a drawing of its own',
    needsMock: true,
    run: async (page, engine) => {
      const { items } = await ask(page, 'GET', '/instances?businessKey=B-8');
      await page.goto(`${engine.url}/instances/${items[0].id}`);
      await page.waitForSelector('[data-face=pay]');
      await page.focus('[data-face=pay]');
      await page.keyboard.press('d');
      await page.waitForSelector('[data-face=paid][data-run=waiting]');
      assert.match(page.url(), /in=pay\.1%2F/);
      assert.match(await page.textContent('.crumbs'), /Version 1 · pay\.1/);
      assert.equal(await page.locator('.line').count(), 3, 'its own nodes in the timeline');
      await page.reload();
      await page.waitForSelector('[data-face=paid][data-run=waiting]');
      await page.keyboard.press('u');
      await page.waitForSelector('[data-face=pay]');
    },
  },
  {
    name: 'items, called flows and a held instance are shown as they stand',
    needsMock: true,
    run: async (page, engine) => {
      const open = async (key) => {
        const id = await page.evaluate(
          async (one) => (await (await fetch(`/api/v1/instances?businessKey=${one}`)).json()).items[0].id,
          key,
        );
        await page.goto(`${engine.url}/instances/${id}`);
        await page.waitForSelector('[data-face]');
      };
      await open('B-7');
      await page.waitForSelector('[data-face=each] .items:has-text("/ 8")');
      await page.click('[data-face=each]');
      assert.equal(await page.locator('aside li .chip.red').count(), 1);
      await open('B-8');
      await page.click('.line:has-text("Pay")');
      await page.waitForSelector('aside li:has-text("payment · B-8") .chip');
      await page.waitForSelector('aside li:has-text("Begin payment") .chip.green');
      await open('B-9');
      await page.waitForSelector('.banner.held');
    },
  },
];
