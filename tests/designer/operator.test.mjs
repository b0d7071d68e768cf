// What an operator does to an instance: held and let go, moved, taken to another version, answered for others, many at
// once. Most of it runs beside the stand-in and the real engine alike.
import assert from 'node:assert/strict';
import { unique } from './drawing.mjs';

/** A request with the page's own session. */
export const ask = (page, method, path, body, headers = {}) =>
  page.evaluate(
    async ([how, where, what, more]) => {
      const answer = await fetch(`/api/v1${where}`, {
        method: how,
        headers: { 'content-type': 'application/json', 'stepwell-csrf': '1', ...more },
        body: what === null ? undefined : JSON.stringify(what),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${how} ${where}: ${answer.status} ${text}`);
      return text === '' ? null : JSON.parse(text);
    },
    [method, path, body ?? null, headers],
  );

export const publish = (page, document) => ask(page, 'POST', `/flows/${document.key}/publish`, { document });
export const start = async (page, key, input = {}, more = {}) =>
  (await ask(page, 'POST', `/flows/${key}/instances`, { input, ...more }, { 'idempotency-key': unique() })).id;
export async function watch(page, engine, id, ready = '[data-face]') {
  await page.goto(`${engine.url}/instances/${id}`);
  await page.waitForSelector(ready);
}

/** Waits for a message, then ends; `wait` names the node that waits. */
export const waiting = (key, wait = 'wait') => ({
  stepwell: 1,
  kind: 'graph',
  key,
  nodes: {
    start: { type: 'start' },
    [wait]: { type: 'receive', title: 'Wait', message: 'go', key: "='never'" },
    note: { type: 'set', title: 'Note', vars: { noted: true } },
    end: { type: 'end', output: {} },
  },
  edges: [
    { from: 'start', to: wait },
    { from: wait, to: 'note' },
    { from: 'note', to: 'end' },
  ],
});
export async function standing(page, engine, key = unique()) {
  await publish(page, waiting(key));
  const id = await start(page, key);
  await watch(page, engine, id, '[data-face=wait][data-run=waiting]');
  return { key, id };
}
const menu = async (page, text) => {
  await page.click('header .menu > .btn');
  await page.click(`[role=menuitem]:has-text("${text}")`);
};

export const tests = [
  {
    name: 'an instance is suspended with a reason and resumed',
    run: async (page, engine) => {
      const { id } = await standing(page, engine);
      await menu(page, 'Suspend');
      await page.fill('dialog .input', 'stock is counted');
      await page.click('dialog .btn.primary');
      await page.waitForSelector('.banner.held');
      await page.waitForSelector('dialog', { state: 'detached' });
      await page.click('header .btn.primary');
      await page.waitForSelector('header .chip.violet');
      const audit = await ask(page, 'GET', '/audit');
      assert.ok(
        audit.items.some((row) => row.action === 'instance.suspend' && row.target.includes(id)),
        'the audit has it',
      );
    },
  },
  {
    name: 'a token is moved: from its panel to a node on the canvas',
    run: async (page, engine) => {
      await standing(page, engine);
      await page.click('[data-face=wait]');
      await page.click('.canvas aside .note .btn:has-text("Move")');
      await page.waitForSelector('.bar[role=status]');
      assert.equal(await page.locator('.svelte-flow__node.target').count(), 3, 'any node but the start');
      await page.click('[data-face=note]');
      assert.match(await page.textContent('dialog h2'), /Wait.*Note/);
      await page.click('dialog .btn.primary');
      await page.waitForSelector('[data-face=end][data-run=done]');
      await page.waitForSelector('header .chip.green');
    },
  },
  {
    name: 'a token is moved with the keyboard alone, and Escape lets it stay',
    run: async (page, engine) => {
      await standing(page, engine);
      await page.evaluate(() => {
        globalThis.pointers = 0;
        addEventListener('pointerdown', () => (globalThis.pointers += 1), true);
      });
      await page.keyboard.press('Control+k');
      await page.keyboard.type('Move a token');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.bar[role=status]');
      await page.keyboard.press('Escape');
      await page.waitForSelector('.bar[role=status]', { state: 'detached' });
      await page.focus('[data-face=wait]');
      await page.keyboard.press('v');
      await page.waitForSelector('.bar[role=status]');
      await page.keyboard.press('End');
      await page.waitForFunction(() => document.activeElement?.getAttribute('data-face') === 'end');
      await page.keyboard.press('Enter');
      await page.waitForSelector('dialog[open]');
      await page.keyboard.press('Enter');
      await page.waitForSelector('header .chip.green');
      assert.equal(await page.evaluate(() => globalThis.pointers), 0);
    },
  },
  {
    name: 'an instance is migrated: the report says what stands in the way, a mapping takes it out of it',
    run: async (page, engine) => {
      const { key, id } = await standing(page, engine);
      await publish(page, waiting(key, 'hold'));
      await menu(page, 'Migrate');
      await page.waitForSelector('.report:not(.fits)');
      assert.match(await page.textContent('.report'), /no such node/);
      assert.equal(await page.locator('dialog .btn.primary[disabled]').count(), 1);
      await page.selectOption('.report select', 'hold');
      await page.waitForSelector('.report.fits');
      await page.click('dialog .btn.primary:not([disabled])');
      await page.waitForSelector('[data-face=hold][data-run=waiting]');
      assert.equal((await ask(page, 'GET', `/instances/${id}`)).version, 2);
    },
  },
  {
    name: 'a command that does not fit any more is refused with its text and what to do',
    run: async (page, engine) => {
      const { id } = await standing(page, engine);
      await menu(page, 'Suspend');
      await page.waitForSelector('dialog[open]');
      await ask(page, 'POST', `/instances/${id}/cancel`, {});
      await page.waitForSelector('header .chip.grey');
      await page.click('dialog .btn.primary');
      await page.waitForSelector('dialog [role=alert]:has-text("already ended"):has-text("any more")');
    },
  },
  {
    name: 'one command goes to all instances of a filter: counted first, then given, then watched',
    run: async (page, engine) => {
      const key = unique();
      await publish(page, waiting(key));
      for (let n = 0; n < 3; n += 1) await start(page, key);
      await page.goto(`${engine.url}/instances`);
      await page.waitForSelector('tbody tr');
      assert.equal(await page.locator('.page-head .btn[disabled]').count(), 1, 'not without a filter');
      await page.goto(`${engine.url}/instances?flow=${key}`);
      await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 3);
      await page.click('.page-head .btn:has-text("Command all")');
      await page.waitForSelector('.found:has-text("3 instances")');
      await page.click('.choice:has-text("Cancel")');
      await page.fill('dialog .input', 'a wrong import');
      await page.click('dialog .btn.danger:not([disabled])');
      await page.waitForSelector('.went:has-text("3 of 3")');
      await page.click('dialog footer .btn');
      await page.waitForFunction(() => document.querySelectorAll('tbody .chip.grey').length === 3);
    },
  },
  {
    name: 'a new key warns that an effect can be repeated',
    needsMock: true,
    run: async (page, engine) => {
      const orderId = unique();
      const down = { code: 'CARRIER_DOWN', message: 'The carrier answered 503', class: 'transient' };
      engine.mock.engine.faults.set(`${orderId}/validate_stock`, down);
      const input = { orderId, sku: 'SKU-1001', quantity: 1, amount_cents: 100, communityId: 'C-11' };
      await watch(page, engine, await start(page, 'community_order', input), '.banner');
      await page.click('.banner');
      await page.click('.canvas aside .note.red .btn:has-text("new key")');
      assert.match(await page.textContent('dialog'), /can repeat an effect/);
      await page.click('dialog .btn.danger');
      await page.waitForSelector('header .chip:not(.red)');
      await page.click('#time-journal');
      await page.waitForSelector('.journal li');
    },
  },
  {
    name: 'work of a worker is answered from the instance',
    needsMock: true,
    run: async (page, engine) => {
      const { items } = await ask(page, 'GET', '/instances?businessKey=B-7');
      await watch(page, engine, items[0].id);
      await page.click('[data-face=pick]');
      await page.click('.canvas aside .note .btn:has-text("Complete")');
      await page.waitForSelector('dialog:has-text("No worker has it")');
      await page.fill('dialog textarea', '{"picked": 2}');
      await page.click('dialog .btn.primary:not([disabled])');
      await page.waitForSelector('[data-face=pick][data-run=done]');
    },
  },
];
