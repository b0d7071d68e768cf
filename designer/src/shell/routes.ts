// Which page answers which path. Every page is its own chunk.
import { withPeople } from './i18n.svelte';
import type { Route } from './router.svelte';

export const routes: Route[] = [
  { name: 'home', pattern: '/', load: () => import('../pages/Home.svelte') },
  { name: 'flows', pattern: '/flows', load: () => import('../pages/Flows.svelte') },
  { name: 'designer', pattern: '/flows/:key', load: () => import('../pages/Designer.svelte'), full: true },
  { name: 'machine', pattern: '/machines/:key', load: () => import('../pages/Machine.svelte') },
  { name: 'slots', pattern: '/flows/:key/slots', load: () => import('../pages/tables/Slots.svelte') },
  { name: 'tables', pattern: '/tables', load: () => import('../pages/tables/Tables.svelte') },
  { name: 'table', pattern: '/tables/:key', load: () => import('../pages/tables/Table.svelte') },
  { name: 'binding', pattern: '/flows/:key/versions', load: () => import('../pages/Binding.svelte') },
  { name: 'bindings', pattern: '/bindings', load: () => import('../pages/Bindings.svelte') },
  { name: 'route', pattern: '/routes/:path', load: () => import('../pages/Route.svelte') },
  { name: 'instances', pattern: '/instances', load: () => import('../pages/Instances.svelte') },
  { name: 'instance', pattern: '/instances/:id', load: () => import('../pages/Instance.svelte'), full: true },
  { name: 'tasks', pattern: '/tasks', load: () => import('../pages/Tasks.svelte') },
  { name: 'records', pattern: '/records', load: () => import('../pages/Records.svelte') },
  { name: 'plugins', pattern: '/plugins', load: () => import('../pages/Plugins.svelte') },
  { name: 'reach', pattern: '/plugins/:name/:version/reach', load: () => import('../pages/Reach.svelte') },
  { name: 'connections', pattern: '/connections', load: () => import('../pages/Connections.svelte') },
  { name: 'audit', pattern: '/audit', load: () => withPeople(() => import('../pages/Audit.svelte')) },
  { name: 'users', pattern: '/users', load: () => withPeople(() => import('../pages/Users.svelte')) },
  { name: 'tokens', pattern: '/tokens', load: () => withPeople(() => import('../pages/Tokens.svelte')) },
  { name: 'account', pattern: '/account', load: () => withPeople(() => import('../pages/Account.svelte')) },
];
