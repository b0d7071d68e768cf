// From nothing to a running instance, as a person does it: with the mouse, and with the keyboard alone.
import assert from 'node:assert/strict';
import { plusOnLine } from './browser.mjs';
import { draft, fill, newFlow, noProblems, saved, tabTo, unique } from './drawing.mjs';

async function publishAndStart(page) {
  await saved(page);
  await page.keyboard.press('Control+Enter');
  await page.click('dialog .btn.primary:not([disabled])');
  await page.waitForSelector('dialog .done');
  await page.click('dialog .btn.primary');
  await page.waitForSelector('dialog form#start, dialog .json, dialog #start');
  await page.click('dialog .btn.primary:not([disabled])');
  await page.waitForURL(/\/instances\//);
}

export const tests = [
  {
    name: 'a new flow is drawn with the mouse, published and run',
    run: async (page, engine) => {
      const begun = Date.now();
      const title = unique();
      await newFlow(page, engine, title);
      // The plus on the line from start to end.
      await plusOnLine(page);
      await page.fill('dialog [role=combobox]', 'set');
      await page.keyboard.press('Enter');
      await page.waitForSelector('[data-face=set]');
      await page.fill('aside.right .adder input', 'greeting');
      await page.click('aside.right .adder button');
      await page.click('aside.right .cm-content');
      await page.keyboard.type("'hello'");
      await noProblems(page);
      await publishAndStart(page);
      await page.waitForSelector('header .chip.green');
      assert.ok(Date.now() - begun < 60_000, 'from nothing to green within a minute');
    },
  },
  {
    name: 'a saga is built, published and run with the keyboard alone',
    run: async (page, engine) => {
      const title = unique();
      await page.goto(`${engine.url}/flows`);
      await page.waitForSelector('.cards, .empty');
      await page.evaluate(() => {
        globalThis.pointers = 0;
        for (const kind of ['pointerdown', 'mousedown', 'pointermove'])
          addEventListener(kind, () => (globalThis.pointers += 1), true);
      });
      await page.keyboard.press('n');
      await page.waitForSelector('dialog input');
      await page.keyboard.type(title);
      await page.keyboard.press('Enter');
      await page.waitForSelector('[data-face=start]');
      const add = async (word, name) => {
        await page.keyboard.press('a');
        await page.waitForSelector('dialog [role=combobox]');
        await page.keyboard.type(word);
        await page.keyboard.press('Enter');
        await page.waitForFunction((id) => document.activeElement?.getAttribute('data-face') === id, name);
      };
      await page.focus('[data-face=start]');
      await add('timer', 'timer');
      await add('set', 'set');
      await add('choice', 'exclusive');
      await add('compensate', 'compensate');
      // From the choice to the end as a second way: connect mode with type-ahead.
      await page.focus('[data-face=exclusive]');
      await page.keyboard.press('c');
      await page.waitForSelector('dialog [role=combobox]');
      await page.keyboard.type('end');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => document.querySelectorAll('.svelte-flow__edge').length === 6);
      await page.keyboard.press('Control+z');
      await page.waitForFunction(() => document.querySelectorAll('.svelte-flow__edge').length === 5);
      await page.keyboard.press('Control+y');
      await page.waitForFunction(() => document.querySelectorAll('.svelte-flow__edge').length === 6);
      await saved(page);
      const document = await draft(page, title);
      assert.deepEqual(document.edges.map((edge) => `${edge.from}>${edge.to}`).sort(), [
        'compensate>end',
        'exclusive>compensate',
        'exclusive>end',
        'set>exclusive',
        'start>timer',
        'timer>set',
      ]);
      // Arrow keys walk along the edges.
      await page.focus('[data-face=start]');
      for (const id of ['timer', 'set', 'exclusive']) {
        await page.keyboard.press('ArrowRight');
        await page.waitForFunction((one) => globalThis.document.activeElement?.getAttribute('data-face') === one, id);
      }
      // What the steps do: a short wait, a variable, a condition.
      await fill(page, 'timer', 'input[placeholder="30m"]');
      await page.keyboard.press('Control+a');
      await page.keyboard.type('100ms');
      await fill(page, 'set', '.adder input');
      await page.keyboard.type('greeting');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => globalThis.document.activeElement?.matches('aside.right .cm-content'));
      await page.keyboard.type("'hello'");
      await fill(page, 'exclusive', 'li:last-child .way');
      await page.keyboard.press('Enter');
      await tabTo(page, 'aside.right .cm-content');
      await page.keyboard.type("vars.greeting == 'bye'");
      await noProblems(page);
      await saved(page);
      await page.keyboard.press('Control+Enter');
      await page.waitForSelector('dialog .btn.primary:not([disabled])');
      await page.keyboard.press('Enter');
      await page.waitForSelector('dialog .done');
      await tabTo(page, 'dialog .btn.primary');
      await page.keyboard.press('Enter');
      await page.waitForSelector('dialog form#start');
      await tabTo(page, 'dialog .btn.primary:not([disabled])');
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/instances\//);
      await page.waitForSelector('[data-face=end][data-run=done]');
      assert.equal(await page.evaluate(() => globalThis.pointers), 0, 'the pointer was never used');
    },
  },
  {
    name: 'copy, paste, delete and undo leave the document as it was',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title, 'saga');
      await page.waitForSelector('[data-face=ship]');
      const before = await draft(page, title);
      await page.click('[data-face=ship]');
      await page.keyboard.press('Escape');
      await page.focus('[data-face=ship]');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Escape');
      await page.click('[data-face=ship]');
      await page.evaluate(() => {
        const data = new DataTransfer();
        document.dispatchEvent(new ClipboardEvent('copy', { clipboardData: data, bubbles: true, cancelable: true }));
        globalThis.copied = data.getData('text/plain');
      });
      assert.match(await page.evaluate(() => globalThis.copied), /stepwell-fragment/);
      await page.evaluate(() => {
        const data = new DataTransfer();
        data.setData('text/plain', globalThis.copied);
        document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
      });
      await page.waitForSelector('[data-face=ship_2]');
      await page.keyboard.press('Delete');
      await page.waitForSelector('[data-face=ship_2]', { state: 'detached' });
      await page.keyboard.press('Control+z');
      await page.waitForSelector('[data-face=ship_2]');
      await page.keyboard.press('Control+z');
      await page.waitForSelector('[data-face=ship_2]', { state: 'detached' });
      await saved(page);
      const { layout: _a, ...meant } = await draft(page, title);
      const { layout: _b, ...was } = before;
      assert.deepEqual(meant, was);
    },
  },
  {
    name: 'two windows: the second save shows both versions and loses neither',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title, 'call');
      await saved(page);
      const current = await page.evaluate(
        async (key) => (await (await fetch(`/api/v1/flows/${key}/draft`)).json()).revision,
        title,
      );
      await page.evaluate(
        async ([key, revision]) => {
          const { document } = await (await fetch(`/api/v1/flows/${key}/draft`)).json();
          document.nodes.request.timeout = '9s';
          await fetch(`/api/v1/flows/${key}/draft`, {
            method: 'PUT',
            headers: { 'content-type': 'application/json', 'stepwell-csrf': '1', 'if-match': `"${revision}"` },
            body: JSON.stringify({ document }),
          });
        },
        [title, String(current)],
      );
      await page.click('[data-face=end]');
      await page.fill('aside.right .title-field input', 'Answered');
      await page.waitForSelector('dialog table');
      await page.click('dialog tr:has-text("request") td:nth-child(3) input');
      await page.click('dialog .btn.primary');
      await saved(page);
      const merged = await draft(page, title);
      assert.equal(merged.nodes.request.timeout, '9s');
      assert.equal(merged.nodes.end.title, 'Answered');
    },
  },
  {
    name: 'edits that were never saved come back',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await saved(page);
      // The server is away while the person types; then the window is gone.
      await page.route('**/draft', (route) => (route.request().method() === 'PUT' ? route.abort() : route.continue()));
      await page.click('[data-face=end]');
      await page.fill('aside.right .title-field input', 'Kept');
      await page.waitForSelector('.save[data-kept]');
      page.troubles.length = 0;
      page.on('dialog', (dialog) => dialog.accept());
      await page.goto('about:blank');
      await page.unroute('**/draft');
      await page.goto(`${engine.url}/flows/${title}`);
      await page.waitForSelector('.toast');
      await page.waitForFunction(
        () =>
          document.querySelector('.caption .title') &&
          [...document.querySelectorAll('.caption .title')].some((one) => one.textContent === 'Kept'),
      );
      await saved(page);
      assert.equal((await draft(page, title)).nodes.end.title, 'Kept');
    },
  },
  {
    name: 'a problem is found, shown on its node and followed from the list',
    run: async (page, engine) => {
      const title = unique();
      await newFlow(page, engine, title);
      await page.focus('[data-face=start]');
      await page.keyboard.press('a');
      await page.fill('dialog [role=combobox]', 'choice');
      await page.keyboard.press('Enter');
      await page.waitForSelector('[data-face=exclusive]');
      await page.focus('[data-face=exclusive]');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('Delete');
      await page.waitForSelector('.btn.problems.errors');
      await page.click('.btn.problems');
      await page.click('#problems li:has(.where span) button >> nth=0');
      await page.waitForFunction(() => document.activeElement?.hasAttribute('data-face'));
    },
  },
  {
    name: 'a failed instance is found by its business key and retried in four steps',
    needsMock: true,
    run: async (page, engine) => {
      await page.goto(`${engine.url}/instances`);
      await page.waitForSelector('tbody tr');
      await page.fill('.find input', 'O-2026-1003');
      await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
      await page.click('tbody tr a');
      await page.waitForSelector('.banner');
      await page.click('header .btn.primary');
      await page.waitForSelector('header .chip.green');
    },
  },
  {
    name: 'an instance that waits goes on when its message is sent, watched live',
    needsMock: true,
    run: async (page, engine) => {
      const id = await page.evaluate(
        async () =>
          (await (await fetch('/api/v1/instances?state=waiting&flow=community_order&limit=1')).json()).items[0].id,
      );
      await page.goto(`${engine.url}/instances/${id}`);
      await page.waitForSelector('[data-face=paid]');
      await page.click('[data-face=paid]');
      await page.click('.note .btn');
      await page.click('dialog .btn.primary');
      await page.waitForSelector('[data-face=done][data-run=done]');
      await page.waitForSelector('header .chip.green');
    },
  },
  {
    name: 'compensation shows its plan first and undoes in reverse order',
    needsMock: true,
    run: async (page, engine) => {
      const id = await page.evaluate(
        async () =>
          (await (await fetch('/api/v1/instances?state=waiting&flow=community_order&limit=1')).json()).items[0].id,
      );
      await page.goto(`${engine.url}/instances/${id}`);
      await page.waitForSelector('[data-face]');
      await page.click('header .btn:has-text("Compensate")');
      assert.equal(await page.locator('dialog .plan li').count(), 3);
      await page.click('dialog .btn.danger');
      await page.waitForSelector('[data-face=validate_stock][data-run=undone]');
      await page.waitForSelector('header .chip.amber');
    },
  },
  {
    name: 'a file that is no component is refused with the reason',
    run: async (page, engine) => {
      await page.goto(`${engine.url}/plugins`);
      await page.waitForSelector('.plugin, .empty');
      await page.setInputFiles('input[type=file]', {
        name: 'broken.wasm',
        mimeType: 'application/wasm',
        buffer: Buffer.from('not wasm'),
      });
      await page.waitForSelector('.up.refused');
      await page.waitForSelector('.up.refused .failed');
      await page.waitForSelector('.up.refused .fix');
      // It is still told of after the page was left.
      await page.reload();
      await page.click('.past summary');
      await page.waitForSelector('.past .up.refused');
    },
  },
  {
    name: 'a build is taken back with what that stops told first, and allowed again; flows come off an old one',
    needsMock: true,
    run: async (page, engine) => {
      await page.goto(`${engine.url}/plugins`);
      const group = '.plugin:has(h2:has-text("commerce"))';
      const build = `${group} .builds li:not(:has(.chip.red)) >> nth=-1`;
      await page.click(`${build} >> .btn:has-text("Revoke")`);
      await page.waitForSelector('dialog li a');
      assert.ok(await page.locator('dialog .btn.danger').isDisabled(), 'not without a reason');
      await page.fill('dialog .input', 'It sends twice');
      await page.click('dialog .btn.danger');
      await page.waitForSelector(`${group} .why:has-text("It sends twice")`);
      await page.click(`${group} .builds li:has(.why:has-text("It sends twice")) .btn:has-text("Allow")`);
      await page.waitForSelector(`${group} .why:has-text("It sends twice")`, { state: 'detached' });
      await page.click(`${build} >> .btn:has-text("Roll forward")`);
      await page.waitForSelector('dialog .chip.blue');
      await page.click('dialog .btn.primary');
      await page.waitForSelector('dialog .chip.green');
    },
  },
];
