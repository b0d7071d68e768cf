// What the canvas costs: figures for docs/benchmarks.md, to be taken on a machine that does nothing else.
// node perf.mjs [--frames] [nodes …]: with frames, every ten steps stand in a stage. Every figure is the median (or p95 of all frames) over RUNS fresh pages.
import { readFile } from 'node:fs/promises';
import { launch, open, settled, target } from './browser.mjs';

const RUNS = 5;
const FRAMES = 180;
const framed = process.argv.includes('--frames');
const sizes = process.argv.slice(2).map(Number).filter(Boolean);
const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const p95 = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length * 0.95)];

/** A long flow as people draw them: steps in a row, a choice with a side way in every tenth place. */
function flow(count) {
  const nodes = { start: { type: 'start' } };
  const edges = [];
  let last = 'start';
  for (let index = 0; Object.keys(nodes).length < count - 1; index += 1) {
    const id = `step_${index}`;
    if (index % 10 === 9) {
      nodes[id] = { type: 'exclusive' };
      nodes[`${id}_side`] = { type: 'set', vars: { [`v${index}`]: '=input.amount_cents * 2' } };
      nodes[`${id}_join`] = { type: 'set', vars: { [`w${index}`]: '=1' } };
      edges.push({ from: last, to: id }, { from: id, to: `${id}_side`, when: 'input.amount_cents > 10000' });
      edges.push({ from: id, to: `${id}_join`, default: true }, { from: `${id}_side`, to: `${id}_join` });
      last = `${id}_join`;
    } else {
      nodes[id] = {
        type: 'task',
        uses: 'commerce/reserve-stock@1',
        with: { sku: '=input.sku', quantity: 1 },
        undo: true,
      };
      edges.push({ from: last, to: id });
      last = id;
    }
  }
  nodes.end = { type: 'end', output: {} };
  edges.push({ from: last, to: 'end' });
  return { stepwell: 1, kind: 'graph', key: `perf_${count}`, title: `${count} nodes`, nodes, edges };
}

/** As many nodes, in stages of ten: frames on the canvas, with lines within them and between them. */
function framedFlow(count) {
  const nodes = { start: { type: 'start' } };
  const edges = [];
  let before = 'start';
  for (let stage = 0; Object.keys(nodes).length < count - 1; stage += 1) {
    const frame = `stage_${stage}`;
    nodes[frame] = { type: 'stage', timeout: '5m' };
    edges.push({ from: before, to: frame });
    before = frame;
    for (let step = 0; step < 10 && Object.keys(nodes).length < count - 1; step += 1) {
      const id = `step_${stage}_${step}`;
      const uses = { uses: 'commerce/reserve-stock@1', with: { sku: '=input.sku', quantity: 1 }, undo: true };
      nodes[id] = { type: 'task', in: frame, ...uses };
      if (step > 0) edges.push({ from: `step_${stage}_${step - 1}`, to: id });
    }
  }
  nodes.end = { type: 'end', output: {} };
  edges.push({ from: before, to: 'end' });
  return { stepwell: 1, kind: 'graph', key: `frames_${count}`, title: `${count} nodes in frames`, nodes, edges };
}

/** Milliseconds between frames while `gesture` is repeated once per frame. */
const frames = (page, gesture) =>
  page.evaluate(
    ([count, what]) =>
      new Promise((done) => {
        const pane = document.querySelector('.svelte-flow__pane');
        const box = pane.getBoundingClientRect();
        const at = {
          clientX: box.left + box.width / 2,
          clientY: box.top + box.height / 2,
          bubbles: true,
          cancelable: true,
        };
        const between = [];
        let before = 0;
        let number = 0;
        const step = (now) => {
          if (before > 0) between.push(now - before);
          before = now;
          number += 1;
          if (number > count) return done(between.slice(5));
          const way = number % 60 < 30 ? 1 : -1;
          const wheel = what === 'pan' ? { deltaX: 24 * way, deltaY: 6 * way } : { deltaY: 3 * way, ctrlKey: true };
          pane.dispatchEvent(new WheelEvent('wheel', { ...at, ...wheel }));
          requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      }),
    [FRAMES, gesture],
  );

/** From the click on a node to the end of the frame that shows its form. */
async function panel(page, index) {
  await page.evaluate(() => {
    globalThis.painted = new Promise((done) => {
      const clicked = () => {
        const begun = performance.now();
        const look = () => {
          if (!document.querySelector('aside.right h2')) return requestAnimationFrame(look);
          // The next task comes after this frame is painted.
          const after = new MessageChannel();
          after.port1.onmessage = () => done(performance.now() - begun);
          after.port2.postMessage(0);
        };
        requestAnimationFrame(look);
      };
      addEventListener('pointerup', clicked, { once: true, capture: true });
    });
  });
  const box = await page.locator('.svelte-flow__node-card [data-face]').nth(index).boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const took = await page.evaluate(() => globalThis.painted);
  await page.keyboard.press('Escape');
  await page.waitForSelector('aside.right', { state: 'detached' });
  return took;
}

/** Milliseconds of processor time on the page's main thread: what else the machine does has no part in it. */
async function busy(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async (act) => {
    const task = async () =>
      (await session.send('Performance.getMetrics')).metrics.find((one) => one.name === 'TaskDuration').value * 1000;
    const begun = await task();
    const done = await act();
    return [await task().then((ended) => ended - begun), done];
  };
}

/** A check of the whole document by the core, in this process: the same engine of WebAssembly as the browser's. */
async function checked(document, nodeTypes) {
  const folder = new URL('../../designer/src/core/pkg/', import.meta.url);
  const core = await import(new URL('stepwell_core.js', folder).href);
  core.initSync({ module: await readFile(new URL('stepwell_core_bg.wasm', folder)) });
  const args = [JSON.stringify(document), JSON.stringify({ nodeTypes })];
  const took = [];
  for (let run = 0; run < 20; run += 1) {
    const begun = performance.now();
    core.check(...args);
    took.push(performance.now() - begun);
  }
  return median(took.slice(5));
}

const engine = await target({ speed: 4 });
const browser = await launch();
for (const count of sizes.length > 0 ? sizes : [200, 500, 2000]) {
  const document = framed ? framedFlow(count) : flow(count);
  const found = { first: [], pan: [], zoom: [], panel: [], far: [], cpu: { pan: [], zoom: [], far: [], panel: [] } };
  let nodeTypes = [];
  for (let run = 0; run < RUNS; run += 1) {
    const page = await open(browser, engine, { reducedMotion: 'no-preference' });
    nodeTypes = await page.evaluate(async (body) => {
      const headers = { 'content-type': 'application/json', 'stepwell-csrf': '1' };
      const draft = `/api/v1/flows/${body.key}/draft`;
      await fetch(draft, { method: 'DELETE', headers });
      await fetch(draft, {
        method: 'PUT',
        headers: { ...headers, 'if-none-match': '*' },
        body: JSON.stringify({ document: body }),
      });
      return (await (await fetch('/api/v1/node-types')).json()).items;
    }, document);
    const core = page.waitForResponse(/\.wasm$/);
    await page.goto(`${engine.url}/flows/${document.key}`);
    await page.waitForSelector('[data-face]');
    found.first.push(
      await page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))),
      ),
    );
    // The checker has come, and has had its first say.
    await core;
    await page.waitForLoadState('networkidle');
    await page.evaluate(() => new Promise((done) => setTimeout(done, 1000)));
    await settled(page);
    const spent = await busy(page);
    const gesture = async (name, what) => {
      const [ms, times] = await spent(() => frames(page, what));
      found[name].push(...times);
      found.cpu[name].push(ms / FRAMES);
    };
    for (const index of [2, 4]) {
      const [ms, took] = await spent(() => panel(page, index));
      found.panel.push(took);
      found.cpu.panel.push(ms);
    }
    await gesture('pan', 'pan');
    await gesture('zoom', 'zoom');
    await page.keyboard.press('f');
    await settled(page);
    await gesture('far', 'pan');
    await page.context().close();
  }
  const row = {
    nodes: count,
    'first paint': median(found.first),
    'panel painted': median(found.panel),
    'pan p95': p95(found.pan),
    'zoom p95': p95(found.zoom),
    'pan at fit p95': p95(found.far),
    'pan CPU': median(found.cpu.pan),
    'zoom CPU': median(found.cpu.zoom),
    'pan at fit CPU': median(found.cpu.far),
    'panel opened and closed CPU': median(found.cpu.panel),
    'check in WASM': await checked(document, nodeTypes),
  };
  console.log(
    Object.entries(row)
      .map(([name, value]) => `${name} ${name === 'nodes' ? value : `${value.toFixed(1)} ms`}`)
      .join(' · '),
  );
}
await browser.close();
engine.stop();
