// A headless browser with a fresh profile, and the stand-in engine unless BASE_URL names a real one.
import { createRequire } from 'node:module';
import { start } from './mock.mjs';

const require = createRequire(new URL('../../designer/package.json', import.meta.url));
const { chromium } = require('playwright-core');
export const axePath = require.resolve('axe-core/axe.min.js');

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--font-render-hinting=none',
];

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
}

/** The engine under test: `{url, token, mock?, shop?, stop}`. */
export async function target(options = {}) {
  if (process.env.BASE_URL)
    return {
      url: process.env.BASE_URL.replace(/\/$/, ''),
      token: process.env.TOKEN ?? '',
      shop: process.env.SHOP_URL?.replace(/\/$/, ''),
      stop: () => {},
    };
  const mock = await start(options);
  return { url: mock.url, token: 'demo', mock, stop: mock.stop };
}

/** A signed-in page. Console errors are collected in `page.troubles`. */
export async function open(
  browser,
  engine,
  { theme = 'light', locale = 'en', width = 1440, height = 900, reducedMotion = 'reduce' } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion,
    deviceScaleFactor: Number(process.env.SCALE ?? 1),
  });
  await context.addInitScript(
    ([wantedTheme, wantedLocale]) => {
      // about:blank has no storage.
      if (window.location.protocol === 'about:') return;
      localStorage.setItem('stepwell.theme', wantedTheme);
      localStorage.setItem('stepwell.locale', wantedLocale);
    },
    [theme, locale],
  );
  const page = await context.newPage();
  page.troubles = [];
  page.asking = new Set();
  page.on('request', (request) => request.resourceType() !== 'eventsource' && page.asking.add(request));
  for (const done of ['requestfinished', 'requestfailed']) page.on(done, (request) => page.asking.delete(request));
  page.on('pageerror', (error) => page.troubles.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      page.troubles.push(message.text());
  });
  await page.goto(`${engine.url}/?token=${engine.token}`);
  await page.waitForSelector('#main');
  return page;
}

/** Waits until nothing on the page moves any more, and one more frame is painted. */
export async function settled(page) {
  await page.evaluate(async () => {
    const finite = (motion) => motion.effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY;
    const moving = () => document.getAnimations().filter((motion) => motion.playState === 'running' && finite(motion));
    const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    await frame();
    while (moving().length > 0) {
      await Promise.allSettled(moving().map((motion) => motion.finished));
      await frame();
    }
  });
}

/** Waits until the page has asked for nothing any more over some frames: what an answer leads to is asked for by then. */
export async function quiet(page) {
  const frames = () =>
    page.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))),
    );
  for (let calm = 0; calm < 3; calm = page.asking.size === 0 ? calm + 1 : 0) await frames();
}

/** Presses the plus on the flow's first line, as one who moves the pointer onto it. */
export async function plusOnLine(page) {
  await settled(page);
  const line = await page.evaluate(() =>
    document.querySelector('.svelte-flow__edge-path').getBoundingClientRect().toJSON(),
  );
  await page.mouse.move(line.x + line.width / 2, line.y - 60);
  await page.mouse.move(line.x + line.width / 2, line.y);
  await page.waitForSelector('.label.hover .plus');
  await page.mouse.down();
  await page.mouse.up();
}
