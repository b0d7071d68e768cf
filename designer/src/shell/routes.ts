// Which page answers which path. Every page is its own chunk.
import type { Route } from './router.svelte';

export const routes: Route[] = [
  { name: 'home', pattern: '/', load: () => import('../pages/Home.svelte') },
  { name: 'flows', pattern: '/flows', load: () => import('../pages/Flows.svelte') },
  { name: 'designer', pattern: '/flows/:key', load: () => import('../pages/Designer.svelte'), full: true },
];
