// Who may do what, as the console offers it: signing in by name, users and tokens, the audit's filters, and what is not
// offered to whom.
import assert from 'node:assert/strict';
import { unique } from './drawing.mjs';

const row = (name) => `tbody tr:has(strong:text-is("${name}"))`;

/** Signs out, whoever is in. */
async function signOut(page) {
  await page.click('nav .foot [aria-haspopup=menu]');
  await page.click('[role=menuitem]:has-text("Sign out")');
  await page.waitForSelector('#login-password');
}

async function signIn(page, name, password) {
  await page.fill('input[autocomplete=username]', name);
  await page.fill('#login-password', password);
  await page.click('form button[type=submit]');
}

export const tests = [
  {
    name: 'a user is let in with a first password, chooses another, and sees what the roles allow',
    needsReal: true,
    run: async (page, engine) => {
      const name = `u${unique()}`.toLowerCase();
      await page.goto(`${engine.url}/users`);
      await page.click('.page-head .btn.primary');
      await page.fill('dialog .field .input', name);
      await page.click('dialog footer .btn.primary');
      const first = await page.inputValue('dialog input[readonly]');
      await page.click('dialog footer .btn.primary');
      await page.waitForSelector(row(name));
      await signOut(page);
      await signIn(page, name, 'not the password');
      await page.waitForSelector('[role=alert]:has-text("do not fit")');
      await signIn(page, name, first);
      await page.fill('#login-current', first);
      await page.fill('#login-password', 'one of my own');
      assert.equal(await page.isDisabled('form button[type=submit]'), true);
      await page.fill('#login-again', 'one of my own');
      await page.click('form button[type=submit]');
      await page.waitForSelector('#main');
      // A viewer of everything: sees it, and is not offered to change it.
      await page.goto(`${engine.url}/flows`);
      const create = page.locator('.page-head .btn.primary');
      assert.equal(await create.isDisabled(), true);
      assert.match(await create.getAttribute('title'), /Designer/);
      assert.equal(await page.locator('nav a[href="/audit"]').count(), 0);
      await page.goto(`${engine.url}/users`);
      await page.waitForSelector('.empty');
      await signOut(page);
    },
  },
  {
    name: 'a token is shown once, revoked, and found in the audit',
    run: async (page, engine) => {
      const name = `t${unique()}`.toLowerCase();
      await page.goto(`${engine.url}/tokens`);
      await page.click('.page-head .btn.primary');
      await page.fill('dialog .field .input', name);
      await page.click('dialog footer .btn.primary');
      assert.match(await page.inputValue('dialog input[readonly]'), /^stw_/);
      await page.click('dialog footer .btn.primary');
      await page.click(`${row(name)} button`);
      await page.click('dialog footer .btn.danger');
      await page.waitForSelector(row(name), { state: 'detached' });
      assert.equal((await page.content()).includes('stw_'), false);
      if (engine.mock) return;
      await page.goto(`${engine.url}/audit?action=token&target=${name}`);
      await page.waitForSelector('tbody tr:nth-child(2)');
      assert.equal(await page.locator('tbody tr').count(), 2);
      await page.click('.filters button');
      await page.waitForFunction(() => location.search === '');
    },
  },
  {
    name: 'what a role does not allow is not offered',
    needsMock: true,
    run: async (page, engine) => {
      const { people } = engine.mock.engine;
      const all = people.session;
      people.session = { ...all, user: 'lin.mei', roles: [{ namespace: 'default', role: 'viewer' }] };
      try {
        await page.goto(`${engine.url}/flows/community_order`);
        await page.waitForSelector('[data-face]');
        const publish = page.locator('header .btn.primary');
        assert.equal(await publish.isDisabled(), true);
        assert.match(await publish.getAttribute('title'), /Designer.*default/);
        await page.click('[data-face=validate_stock]');
        await page.waitForSelector('aside.right');
        assert.equal(await page.locator('aside.right .body input, aside.right input').first().isDisabled(), true);
        const before = await page.locator('[data-face]').count();
        await page.keyboard.press('Delete');
        assert.equal(await page.locator('[data-face]').count(), before);
        const id = await page.evaluate(
          async () => (await (await fetch('/api/v1/instances?state=incident&limit=1')).json()).items[0].id,
        );
        await page.goto(`${engine.url}/instances/${id}`);
        await page.waitForSelector('header .btn.danger');
        assert.equal(await page.isDisabled('header .btn.danger'), true);
        await page.goto(`${engine.url}/audit`);
        await page.waitForSelector('.empty');
      } finally {
        people.session = all;
      }
    },
  },
];
