import { mount } from 'svelte';
import App from './App.svelte';
import { listenKeys } from './shell/commands.svelte';
import { initLocale } from './shell/i18n.svelte';
import { listen } from './shell/router.svelte';
import { startSession } from './shell/session.svelte';
import { initTheme } from './shell/theme.svelte';
import './shell/tokens.css';
import './shell/base.css';

initTheme();
listen();
listenKeys();
const [target] = [document.getElementById('app')];
await Promise.all([initLocale(), startSession()]);
if (target) mount(App, { target });
