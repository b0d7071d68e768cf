// Makes of what `plugin.js` exports the three functions that the host calls.
import { Answer, Failure } from 'stepwell';

const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round"><path d="M12 3l8 4.5v9L12 21l-8-4.5v-9z"/><path d="M4 7.5l8 4.5 8-4.5M12 12v9"/></svg>';
const EXPORTS = ['undo', 'resume', 'query', 'check'];
const NOTHING = { type: 'object', additionalProperties: false };

const words = (text) => (typeof text === 'string' ? { en: text } : text);
const shown = (value) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)));

function nodeType(name, node) {
  if (typeof node?.run !== 'function') throw new TypeError(`node ${name} has no function run`);
  const ports = node.ports ?? { out: { title: 'Done', schema: node.output ?? {} } };
  return {
    name,
    title: words(node.title ?? name),
    summary: words(node.summary ?? ''),
    category: node.category ?? 'script',
    icon: node.icon ?? ICON,
    'config-schema': node.config ?? NOTHING,
    'input-schema': node.input ?? { type: 'object' },
    ports: Object.entries(ports).map(([port, { title = port, schema = {} }]) => ({
      name: port,
      title: words(title),
      'output-schema': schema,
    })),
    errors: Object.entries(node.errors ?? {}).map(([code, title]) => ({ code, title: words(title) })),
    has: EXPORTS.filter((name) => typeof node[name] === 'function'),
    examples: (node.examples ?? []).map(({ title = '', config = {}, input = {}, port = 'out', output = null, httpTape }) => ({
      title: words(title),
      config,
      input,
      port,
      output,
      ...(httpTape === undefined ? {} : { 'http-tape': httpTape }),
    })),
  };
}

/** What a call came to, as the host reads it. */
function told(what, value) {
  if (value instanceof Answer) return value.answer;
  if (value instanceof Promise) throw new TypeError(`${what} returned a promise; a call cannot wait for one`);
  if (what === 'undo') return 'undone';
  if (what === 'check') return value ?? [];
  return { done: { port: 'out', output: value ?? null } };
}

/** Where in the program an error was made: `plugin.js:12`. */
const place = (error) => /\(?([\w./-]+\.js:\d+)/.exec(error?.stack ?? '')?.[1];

function failed(error) {
  if (error instanceof Failure) return error.answer;
  // `reject` of scripts in flows is there, too.
  if (error?.name === 'Rejected' && typeof error.code === 'string') {
    return { rejected: { code: error.code, message: error.message, data: error.data ?? null } };
  }
  if (!(error instanceof Error)) return { permanent: `the node threw ${shown(error)}` };
  const at = place(error);
  return { permanent: `${error.name}: ${error.message}${at === undefined ? '' : ` (${at})`}` };
}

const log =
  (level) =>
  (...parts) =>
    globalThis.__stepwellLog(level, parts.map(shown).join(' '));
globalThis.console = { debug: log('debug'), log: log('info'), info: log('info'), warn: log('warn'), error: log('error') };

export function start(definition) {
  if (typeof definition?.nodes !== 'object') {
    throw new TypeError('plugin.js must export default plugin({ name, version, licence, nodes })');
  }
  const { name, version, licence, nodes } = definition;
  const nodeTypes = JSON.stringify({ 'node-types': Object.entries(nodes).map(([name, node]) => nodeType(name, node)) });
  const about = JSON.stringify({ name, version, licence });
  return {
    about: () => about,
    nodeTypes: () => nodeTypes,
    answer(what, name, given) {
      let answer;
      try {
        const node = nodes[name];
        if (typeof node?.[what] !== 'function') throw new TypeError(`node ${name} has no function ${what}`);
        const asked = JSON.parse(given);
        answer = told(what, what === 'check' ? node.check(asked.config) : node[what](asked));
      } catch (error) {
        answer = failed(error);
      }
      return JSON.stringify(answer);
    },
  };
}
