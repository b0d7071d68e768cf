// Pictures of every page, light and dark, in both languages: for looking at, not for comparing bytes.
// node shots.mjs [folder] [name-filter]; BASE_URL and TOKEN take them from a real engine.
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch, open, settled, target } from './browser.mjs';
import { scenes } from './scenes.mjs';

const folder = process.argv[2] ?? join(tmpdir(), 'stepwell-shots');
const filter = process.argv[3] ?? '';
const themes = (process.env.THEMES ?? 'light,dark').split(',');
const locales = (process.env.LOCALES ?? 'en,zh-CN').split(',');
await mkdir(folder, { recursive: true });
const browser = await launch();
const engine = await target();
for (const theme of themes) {
  for (const locale of locales) {
    for (const scene of scenes) {
      if (!scene.name.includes(filter)) continue;
      const page = await open(browser, engine, { theme, locale });
      try {
        await scene.show(page, engine);
        await settled(page);
      } catch (error) {
        console.error(`${scene.name}: ${error.message}`);
        process.exitCode = 1;
      }
      await page.screenshot({ path: join(folder, `${scene.name}-${theme}-${locale}.png`) });
      for (const trouble of page.troubles) console.error(`${scene.name} ${theme} ${locale}: ${trouble}`);
      await page.context().close();
    }
  }
}
await browser.close();
engine.stop();
console.log(folder);
