// The console's pages of versions, routes, plugins and open work. What the stand-in has no part of runs where SHOP_URL
// says that the engine is a real one.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { unique } from './drawing.mjs';
import { ask, publish, start, waiting, watch } from './operator.test.mjs';

const BUILT = fileURLToPath(new URL('../../dist/plugins/json.wasm', import.meta.url));

/** A person approves, or says no; then a worker outside packs. */
const working = (key) => ({
  stepwell: 1,
  kind: 'graph',
  key,
  businessKey: '=input.order',
  nodes: {
    start: { type: 'start' },
    approve: {
      type: 'user-task',
      title: 'Approve',
      groups: ['finance'],
      with: { order: '=input.order' },
      form: {
        type: 'object',
        required: ['ok', 'why'],
        properties: { ok: { type: 'boolean', title: 'Approved' }, why: { type: 'string', title: 'Reason' } },
      },
    },
    pack: {
      type: 'external-task',
      title: 'Pack',
      topic: `pack-${key}`,
      with: { order: '=input.order' },
      on: { broken: { type: 'error', code: 'BROKEN' } },
    },
    done: { type: 'end', output: { packed: '=nodes.pack' } },
    lost: { type: 'end', output: { lost: true } },
  },
  edges: [
    { from: 'start', to: 'approve' },
    { from: 'approve', to: 'pack' },
    { from: 'pack', to: 'done' },
    { from: 'pack', port: 'broken', to: 'lost' },
  ],
});
const begun = async (page) => {
  const key = unique();
  await publish(page, working(key));
  return { key, id: await start(page, key, { order: `O-${key}` }) };
};
const row = (key) => `tbody tr:has-text("O-${key}")`;

export const tests = [
  {
    name: 'rules for versions are set, asked and seen again',
    run: async (page, engine) => {
      const key = unique();
      await publish(page, waiting(key));
      await publish(page, waiting(key, 'hold'));
      await page.goto(`${engine.url}/bindings`);
      await page.click(`a[href="/flows/${key}/versions"]`);
      await page.click('section[aria-labelledby=rules-head] > .btn');
      await page.fill('li.rule input.input', 'pilot');
      await page.selectOption('li.rule select', '1');
      await page.fill('li.rule textarea >> nth=0', 'k-1\nk-2');
      await page.fill('form textarea >> nth=0', 'k-2\nk-3');
      await page.click('form .btn');
      await page.waitForSelector('.foreseen td');
      const said = await page.locator('.foreseen tbody tr td:nth-child(3)').allInnerTexts();
      assert.deepEqual(said, ['rule/pilot', 'newest'], 'the rules are asked before they are saved');
      await page.click('.page-head .btn.primary');
      await page.waitForSelector('.page-head .btn.danger');
      await page.goto(`${engine.url}/flows/${key}/versions`);
      assert.equal(await page.inputValue('li.rule textarea >> nth=0'), 'k-1\nk-2');
      await page.waitForSelector('.page-head .btn.primary[disabled]');
      if (engine.mock) return;
      // What the rule chose is counted under its name.
      const id = await start(page, key, {}, { businessKey: 'k-1' });
      assert.equal((await ask(page, 'GET', `/instances/${id}`)).version, 1);
      await page.reload();
      await page.waitForSelector('tr:has-text("rule/pilot")');
    },
  },
  {
    name: 'somebody else changed the rules: saving is refused and says so',
    needsShop: true,
    run: async (page, engine) => {
      const key = unique();
      await publish(page, waiting(key));
      const rules = (name) => ({ binding: { rules: [{ name, keys: ['k'], version: 1 }] } });
      await ask(page, 'PUT', `/flows/${key}/bindings`, rules('first'), { 'if-none-match': '*' });
      await page.goto(`${engine.url}/flows/${key}/versions`);
      await page.fill('li.rule input.input', 'mine');
      await ask(page, 'PUT', `/flows/${key}/bindings`, rules('second'), { 'if-match': '"1"' });
      await page.click('.page-head .btn.primary');
      await page.waitForSelector('.toast.bad:has-text("Somebody else changed")');
      // The engine explains the code, beside the console.
      assert.match(await page.getAttribute('.toast.bad a', 'href'), /\/docs#BINDING_CONFLICT/);
    },
  },
  {
    name: 'a routed path leads to a flow, refuses what has problems and is dropped again',
    needsShop: true,
    run: async (page, engine) => {
      const [key, path] = [unique(), unique()];
      await publish(page, waiting(key));
      await page.goto(`${engine.url}/bindings`);
      await page.fill('.new input', path);
      await page.click('.new .btn');
      await page.click('section .btn.tiny:not([disabled])');
      await page.fill('li.rule input.mono', 'input.type ==');
      await page.selectOption('li.rule select', key);
      await page.click('.page-head .btn.primary');
      await page.waitForSelector('[role=alert] li');
      await page.fill('li.rule input.mono', "input.type == 'COIN'");
      await page.click('.page-head .btn.primary');
      await page.waitForSelector('.page-head .btn.danger');
      const sent = (type) =>
        page.evaluate(
          async ([where, what]) => {
            const answer = await fetch(`/t/${where}`, {
              method: 'POST',
              headers: { 'content-type': 'application/json', 'stepwell-csrf': '1' },
              body: JSON.stringify({ type: what }),
            });
            return answer.status;
          },
          [path, type],
        );
      assert.equal(await sent('OTHER'), 422);
      await page.goto(`${engine.url}/bindings`);
      await page.click(`a[href="/routes/${path}"]`);
      await page.click('.page-head .btn.danger');
      await page.waitForURL(/\/bindings$/);
      await page.waitForSelector('h1');
      assert.equal(await page.locator(`a[href="/routes/${path}"]`).count(), 0);
    },
  },
  {
    name: 'plugins show what they offer, reach and who uses them; the same bytes again change nothing',
    needsShop: true,
    run: async (page, engine) => {
      await page.goto(`${engine.url}/plugins`);
      await page.waitForSelector('.plugin');
      const before = await page.locator('.plugin').count();
      const commerce = page.locator('.plugin:has(h2:has-text("commerce"))').first();
      await commerce.locator('.tag:has-text("community_order")').first().waitFor();
      assert.ok((await commerce.locator('.types li').count()) >= 3);
      await commerce.locator('details summary').last().click();
      assert.ok((await commerce.locator('.imports li').count()) >= 1);
      assert.ok(existsSync(BUILT), 'the plugins are built');
      await page.setInputFiles('input[type=file]', BUILT);
      await page.waitForSelector('.toast.good');
      assert.equal(await page.locator('.plugin').count(), before);
      await page.check('.try input');
      await page.setInputFiles('input[type=file]', BUILT);
      await page.waitForSelector('.up.tried');
      assert.equal(await page.locator('.up.tried ol li.done').count(), 7, 'every stage but the last');
    },
  },
  {
    name: 'people claim and answer their tasks, and work is answered for its worker, from the list',
    needsShop: true,
    run: async (page, engine) => {
      const { key, id } = await begun(page);
      await page.goto(`${engine.url}/tasks`);
      await page.click(`${row(key)} .btn:has-text("Claim")`);
      await page.waitForSelector(`${row(key)} .btn:has-text("Give back")`);
      await page.click('.page-head .btn');
      await page.click(`${row(key)} .btn.primary`);
      await page.waitForSelector(`dialog .json:has-text("O-${key}")`);
      // The form wants an answer: refused with its place, and asked again.
      await page.click('dialog .btn.primary:not([disabled])');
      await page.waitForSelector('dialog [role=alert]:has-text("why")');
      await page.click('dialog form .track');
      await page.getByRole('textbox', { name: 'Reason' }).fill('in stock');
      await page.click('dialog .btn.primary:not([disabled])');
      await page.waitForSelector('dialog', { state: 'detached' });
      await page.click('#tasks-workers');
      await page.click(`${row(key)} .btn:has-text("Complete")`);
      await page.waitForSelector('dialog:has-text("No worker has it")');
      await page.fill('dialog textarea', '{"parcel": "P-1"}');
      await page.click('dialog .btn.primary:not([disabled])');
      await page.waitForSelector('dialog', { state: 'detached' });
      await watch(page, engine, id, 'header .chip.green');
      assert.deepEqual((await ask(page, 'GET', `/instances/${id}`)).output, { packed: { parcel: 'P-1' } });
    },
  },
  {
    name: 'a worker’s task is failed with a business error from the instance, and its handler takes it',
    needsShop: true,
    run: async (page, engine) => {
      const { key, id } = await begun(page);
      const [task] = (await ask(page, 'GET', `/tasks?instance=${id}`)).items;
      await ask(page, 'POST', `/tasks/${task.id}/complete`, { output: { ok: true, why: 'in stock' } });
      await watch(page, engine, id, '[data-face=pack][data-run=waiting]');
      // A worker has it: answered under its name.
      await ask(page, 'POST', '/external-tasks/fetch', { topics: [`pack-${key}`], worker: 'w-7' });
      await page.click('[data-face=pack]');
      await page.click('.canvas aside .note .btn:has-text("Fail")');
      await page.waitForSelector('dialog:has-text("w-7")');
      await page.fill('dialog input.mono', 'BROKEN');
      await page.click('dialog .btn.danger:not([disabled])');
      await page.waitForSelector('[data-face=lost][data-run=done]');
    },
  },
  {
    name: 'the payloads of an instance that has ended are erased, once that is confirmed',
    needsShop: true,
    run: async (page, engine) => {
      const key = unique();
      await publish(page, waiting(key));
      const id = await start(page, key, { name: 'somebody' });
      await ask(page, 'POST', `/instances/${id}/cancel`, {});
      await watch(page, engine, id, 'header .chip.grey');
      await page.click('header .menu > .btn');
      await page.click('[role=menuitem]');
      await page.click('dialog .btn.danger');
      await page.waitForSelector('.canvas aside .note:has-text("erased")');
      assert.equal(JSON.stringify(await ask(page, 'GET', `/instances/${id}`)).includes('somebody'), false);
    },
  },
  {
    name: 'the engine says when a published schedule is due',
    needsShop: true,
    run: async (page, engine) => {
      const key = unique();
      const triggers = [{ type: 'schedule', name: 'noon', schedule: '0 12 * * *', timezone: 'Asia/Shanghai' }];
      await publish(page, { ...waiting(key), triggers });
      await page.goto(`${engine.url}/flows/${key}`);
      await page.waitForSelector('[data-face=start]');
      await page.keyboard.press('i');
      await page.waitForSelector('aside.right .next li');
      assert.match(await page.locator('aside.right .next li').first().textContent(), /12:00/);
      // Another time is not what the engine runs.
      await page.getByLabel('Cron', { exact: true }).fill('0 13 * * *');
      await page.waitForSelector('aside.right .next', { state: 'detached' });
    },
  },
  {
    name: 'a run of a called flow is drawn at the version its caller is pinned to',
    needsShop: true,
    run: async (page, engine) => {
      const [inner, outer] = [unique(), unique()];
      await publish(page, waiting(inner));
      const part = { type: 'call', flow: inner, with: {} };
      const nodes = { start: { type: 'start' }, part, end: { type: 'end', output: {} } };
      const edges = [
        { from: 'start', to: 'part' },
        { from: 'part', to: 'end' },
      ];
      await publish(page, { stepwell: 1, kind: 'graph', key: outer, nodes, edges });
      await publish(page, waiting(inner, 'hold'));
      const id = await start(page, outer);
      await watch(page, engine, id, '[data-face=part]');
      await page.focus('[data-face=part]');
      await page.keyboard.press('d');
      await page.waitForSelector('[data-face=wait][data-run=waiting]');
      assert.match(await page.textContent('.crumbs'), /Version 1/);
      // Its token is moved within the called flow.
      await page.click('.canvas aside .note .btn:has-text("Move")');
      await page.click('[data-face=note]');
      await page.click('dialog .btn.primary');
      await page.waitForSelector('header .chip.green');
    },
  },
];
