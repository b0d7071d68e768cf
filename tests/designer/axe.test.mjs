// No accessibility violation in any scene, in both themes and both languages. SCENES names some of them.
import { readFileSync } from 'node:fs';
import { axePath, settled } from './browser.mjs';
import { scenes } from './scenes.mjs';

const axe = readFileSync(axePath, 'utf8');
// Of a theme only the colours differ: in the second, what looks at colours is run.
const COLOURS = { runOnly: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] } };
const RULES = {
  runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
};

async function violations(page, theme) {
  await page.evaluate((wanted) => {
    document.documentElement.dataset.theme = wanted;
  }, theme);
  // Colours fade into the other theme; contrast is measured when they have arrived.
  await settled(page);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  // The policy forbids inline scripts, so the checker comes in through the debugger.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  const rules = theme === 'light' ? RULES : COLOURS;
  const result = await page.evaluate((wanted) => window.axe.run(document, wanted), rules);
  return result.violations.map((violation) => {
    const nodes = violation.nodes.slice(0, 4).map(
      (node) =>
        `    ${node.target.join(' ')} ${node.any
          .map((one) => one.message)
          .join('; ')
          .slice(0, 160)}`,
    );
    return `${theme} ${violation.id}: ${violation.help}\n${nodes.join('\n')}`;
  });
}

export const tests = ['en', 'zh-CN'].map((locale) => ({
  name: `axe: every scene, light and dark, ${locale}`,
  needsMock: true,
  options: { locale },
  run: async (page, engine) => {
    const found = [];
    // Signing out comes last: it ends the session of all the others.
    const chosen = scenes.filter((scene) => scene.name.includes(process.env.SCENES ?? '') && !scene.alike);
    for (const scene of chosen.toSorted((a, b) => Number(a.name === 'login') - Number(b.name === 'login'))) {
      await scene.show(page, engine);
      await settled(page);
      for (const theme of ['light', 'dark'])
        found.push(...(await violations(page, theme)).map((text) => `${scene.name} ${text}`));
    }
    if (found.length > 0) throw new Error(found.join('\n'));
  },
}));
