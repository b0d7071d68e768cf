// What tests do to draw a flow: begin one, come to its fields, read what was saved.
import assert from 'node:assert/strict';

export const unique = () => `t${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
export const saved = (page) => page.waitForSelector('.save.saved');
export const noProblems = (page) => page.waitForFunction(() => !document.querySelector('.btn.problems.errors'));

export async function newFlow(page, engine, title, template = 'blank') {
  await page.goto(`${engine.url}/flows?new=1`);
  await page.fill('dialog .input >> nth=0', title);
  if (template !== 'blank') await page.click(`dialog label.choice:has(input[value=${template}])`);
  await page.click('dialog .btn.primary');
  await page.waitForSelector('[data-face=start]');
}
export const draft = (page, key) =>
  page.evaluate(async (one) => (await (await fetch(`/api/v1/flows/${one}/draft`)).json()).document, key);

/** Presses Tab until the keyboard stands on what `selector` names. */
export async function tabTo(page, selector) {
  // The expression field comes with its editor, which is fetched when it is first wanted.
  await page.waitForSelector(selector);
  const there = () => page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector);
  for (let presses = 0; presses < 60; presses += 1) {
    if (await there()) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`the keyboard does not come to ${selector}`);
}
/** Opens a node's form from the canvas, and comes to a field of it. */
export async function fill(page, node, selector) {
  await page.focus(`[data-face=${node}]`);
  await page.keyboard.press('Enter');
  await page.waitForSelector('aside.right');
  await page.waitForFunction(() => document.activeElement?.closest('aside.right'));
  await tabTo(page, `aside.right ${selector}`);
}
