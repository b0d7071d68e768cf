// The real engine with its real plugins, and the stand-in shop behind them: what a new user does first, and what an
// order goes through. Runs where SHOP_URL names the shop; `cargo xtask test designer-engine` starts both.
import assert from 'node:assert/strict';
import { plusOnLine } from './browser.mjs';

const unique = () => `t${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;

async function shop(engine, method, path, body) {
  const answer = await fetch(engine.shop + path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
}

/** Starts an order from the designer with its sample, and comes back on its page with its number. */
async function order(page, engine) {
  // Payments wait for the test to settle them.
  await shop(engine, 'PUT', '/control/settings', { auto_settle: 'none' });
  await page.goto(`${engine.url}/flows/community_order?start=1`);
  await page.waitForSelector('dialog form#start input');
  await page.click('dialog .btn.primary:not([disabled])');
  await page.waitForURL(/\/instances\//);
  await page.waitForSelector('[data-face=paid]');
  return (await page.textContent('.live h1')).trim();
}
const settle = (engine, number, status) =>
  shop(engine, 'POST', `/gateway/payments/${encodeURIComponent(number)}/settle`, { status });

/** What the journal says was undone, in its order. */
async function undone(page) {
  await page.click('#time-journal');
  await page.waitForSelector('.journal li');
  return page.$$eval('.journal li', (rows) =>
    rows
      .filter((row) => row.querySelector('.type').textContent.includes('Undone'))
      .map((row) => row.querySelector('.node').textContent.trim()),
  );
}

export const tests = [
  {
    name: 'a first flow is drawn by quick-add, mended, published and run on the real engine',
    run: async (page) => {
      const title = unique();
      await page.click('nav a[href="/flows"]');
      await page.click('.page-head .btn.primary');
      await page.fill('dialog .input >> nth=0', title);
      await page.click('dialog .btn.primary');
      await page.waitForSelector('[data-face=start]');
      await plusOnLine(page);
      await page.fill('dialog [role=combobox]', 'reserve');
      await page.keyboard.press('Enter');
      await page.waitForSelector('[data-face=reserve_stock]');
      // The checker says what is missing, on the node and in its form; the button beside it begins the mending.
      await page.waitForSelector('.btn.problems.errors');
      const before = await page.locator('aside.right .error').count();
      assert.ok(before >= 2, 'both inputs of the step are missing');
      // One at a time: the next button is there once the checker has looked again.
      const mends = page.locator('aside.right .error .mend');
      for (let left = await mends.count(); left > 0; left = await mends.count()) {
        await mends.first().click();
        await page.waitForFunction(
          (count) => document.querySelectorAll('aside.right .error .mend').length < count,
          left,
        );
      }
      await page.waitForFunction(() => !document.querySelector('aside.right .problem-list'));
      await page.getByRole('textbox', { name: 'Pieces' }).fill('3');
      await page.waitForSelector('.save.saved');
      await page.click('header .btn.primary');
      await page.click('dialog .btn.primary:not([disabled])');
      await page.waitForSelector('dialog .done');
      await page.click('dialog .btn.primary');
      await page.waitForSelector('dialog form#start');
      await page.click('dialog .btn.primary:not([disabled])');
      await page.waitForURL(/\/instances\//);
      // Watched on the same canvas: states, then the step's input, output and time.
      await page.waitForSelector('header .chip.green');
      await page.waitForSelector('[data-face=end][data-run=done]');
      await page.click('[data-face=reserve_stock]');
      await page.waitForSelector('aside .json');
      const panel = await page.textContent('aside[aria-label]');
      assert.match(panel, /SKU-1001/);
      assert.match(panel, /reservation/i);
      assert.ok((await page.locator('.timeline .line').count()) >= 1, 'the step has a bar in the timeline');
    },
  },
  {
    name: 'a community order waits for its payment and ships when it is called back',
    run: async (page, engine) => {
      const number = await order(page, engine);
      await page.waitForSelector('[data-face=paid][data-run=waiting]');
      await page.click('[data-face=paid]');
      await page.waitForSelector('.note.violet');
      await settle(engine, number, 'PAID');
      await page.waitForSelector('[data-face=done][data-run=done]');
      await page.waitForSelector('header .chip.green');
      await page.click('[data-face=ship_goods]');
      await page.waitForFunction(() => /parcel/.test(document.querySelector('.canvas aside')?.textContent ?? ''));
    },
  },
  {
    name: 'a failed payment is undone in reverse order, seen on the canvas and in the journal',
    run: async (page, engine) => {
      const number = await order(page, engine);
      await page.waitForSelector('[data-face=paid][data-run=waiting]');
      await settle(engine, number, 'FAILED');
      await page.waitForSelector('[data-face=cancelled][data-run=done]');
      for (const id of ['validate_stock', 'lock_pickup', 'create_payment'])
        await page.waitForSelector(`[data-face=${id}][data-run=undone]`);
      assert.deepEqual(await undone(page), ['Begin payment', 'Lock a locker', 'Reserve stock']);
    },
  },
  {
    name: 'a step that failed for good is retried, and an order that waits is cancelled',
    run: async (page, engine) => {
      // Once for the call and once for each of its retries.
      await shop(engine, 'PUT', '/control/faults', { path_prefix: '/stock/reservations', fail_next: 3, status: 503 });
      await order(page, engine);
      await page.waitForSelector('.banner');
      await page.waitForSelector('[data-face=validate_stock][data-run=incident]');
      await page.click('header .btn.primary');
      await page.waitForSelector('[data-face=paid][data-run=waiting]');
      await page.click('header .btn.danger');
      await page.fill('dialog .input', 'the customer called');
      await page.click('dialog .btn.danger');
      await page.waitForSelector('header .chip.grey');
      assert.equal(await page.locator('header .btn.danger').count(), 0, 'nothing is left to cancel');
    },
  },
].map((test) => ({ ...test, needsShop: true }));
