// After a build: what each first load costs, gzipped, against its bar.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));
const weight = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;

function load(entries) {
  const files = new Set();
  const visit = (name) => {
    const chunk = manifest[name];
    if (!chunk || files.has(chunk.file)) return;
    if (chunk.file.endsWith('.js')) files.add(chunk.file);
    for (const next of chunk.imports ?? []) visit(next);
  };
  entries.forEach(visit);
  return [...files].reduce((sum, file) => sum + weight(file), 0);
}

const ENTRY = ['index.html', 'messages/en.json'];
const first = load(ENTRY);
const rows = [
  ['list page', load([...ENTRY, 'src/pages/Flows.svelte']), 90],
  ['instances page', load([...ENTRY, 'src/pages/Instances.svelte']), 90],
  ['designer route', load([...ENTRY, 'src/pages/Designer.svelte']), 180],
  ['expression editor, on top', load(['src/inspector/editor.ts']), 130],
];
// The engine's core stands in no chunk: its worker fetches it once the canvas is there.
const core = readdirSync(new URL('assets/', dist)).find((file) => file.endsWith('.wasm'));
if (core) rows.push(['engine core in the browser', weight(`assets/${core}`), 600]);
let over = false;
console.log(`shell ${(first / 1024).toFixed(1)} kB`);
for (const [name, size, bar] of rows) {
  const kb = size / 1024;
  over ||= kb > bar;
  console.log(`${kb > bar ? 'OVER' : 'ok  '} ${name}: ${kb.toFixed(1)} kB of ${bar} kB`);
}
process.exitCode = over ? 1 : 0;
