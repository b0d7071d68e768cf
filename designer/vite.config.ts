import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The engine to talk to while developing; `npm run mock` serves a stand-in on the same port.
const engine = process.env.STEPWELL_URL ?? 'http://127.0.0.1:7070';

export default defineConfig({
  plugins: [
    svelte({
      // The canvas library ships components written before runes.
      dynamicCompileOptions: ({ filename }) => (filename.includes('node_modules') ? { runes: undefined } : undefined),
    }),
  ],
  server: { proxy: { '/api': engine, '/t/': engine } },
  // The built console in front of an engine that was built without it.
  preview: { proxy: { '/api': engine, '/t/': engine } },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    // The strict content policy forbids data: scripts, and fonts must stay files to be cached.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: true,
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
