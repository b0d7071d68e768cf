// The console in a real browser. Against the stand-in engine, or a real one named by BASE_URL and TOKEN, with the
// stand-in shop at SHOP_URL. Every test gets a fresh profile, and runs only where it finds the data it needs.
import { readdirSync } from 'node:fs';
import { launch, open, target } from './browser.mjs';

const filter = process.argv[2] ?? '';
const engine = await target({ speed: 4 });
const browser = await launch();
let failed = 0;
let ran = 0;

for (const file of readdirSync(new URL('.', import.meta.url))
  .filter((name) => name.endsWith('.test.mjs'))
  .sort()) {
  const { tests } = await import(`./${file}`);
  for (const test of tests) {
    if (
      !test.name.includes(filter) ||
      (test.needsMock && !engine.mock) ||
      (test.needsReal && engine.mock) ||
      (test.needsShop && !engine.shop)
    )
      continue;
    ran += 1;
    const begun = Date.now();
    let page;
    try {
      page = await open(browser, engine, test.options);
      page.setDefaultTimeout(10_000);
      await test.run(page, engine, browser);
      if (page.troubles.length > 0) throw new Error(`the console complained:\n${page.troubles.join('\n')}`);
      console.log(`ok   ${test.name} (${Date.now() - begun} ms)`);
    } catch (error) {
      failed += 1;
      console.error(`FAIL ${test.name}\n${error.stack ?? error}`);
      if (process.env.SHOTS && page)
        await page.screenshot({ path: `${process.env.SHOTS}/failed-${ran}.png` }).catch(() => {});
    }
    await page?.context().close();
  }
}
await browser.close();
engine.stop();
if (ran === 0) console.error(`no test is named like “${filter}”`);
console.log(`${ran - failed} of ${ran} passed`);
process.exit(failed > 0 || ran === 0 ? 1 : 0);
