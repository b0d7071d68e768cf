// A stand-in engine for the console: the HTTP contract in memory, with a small interpreter that walks a flow slowly
// enough to watch. It also serves the built console under the same content policy as the engine. For tests,
// screenshots and development without Rust; it promises nothing about durability.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { figures, foresee } from './mock-bindings.mjs';
import { check } from './mock-check.mjs';
import { Engine } from './mock-engine.mjs';
import { batch, pay, instances as standing } from './mock-live.mjs';
import { Plugins } from './mock-plugins.mjs';
import { communityOrder, nodeTypes, order5, plugins } from './samples.mjs';

const DIST = fileURLToPath(new URL('../../designer/dist/', import.meta.url));
const CSP =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
};
const BODY_MAX = 33 * 1024 * 1024;

export function start({ port = 0, speed = 1, seed = true } = {}) {
  const engine = new Engine({ speed, nodeTypes, plugins: structuredClone(plugins) });
  engine.builds = new Plugins(engine);
  if (seed) {
    engine.publish(order5, { by: 'system' });
    for (let version = 1; version <= 3; version += 1) {
      engine.publish(
        { ...communityOrder, notes: [{ text: `v${version}`, x: 0, y: 0 }] },
        { by: version === 1 ? 'system' : 'admin', label: version === 3 ? '1.2.0' : undefined },
      );
    }
    engine.sampleInstances();
    for (const flow of [pay, batch]) engine.publish(flow, { by: 'system' });
    for (const one of standing) engine.instances.set(one.id, one);
  }
  const feed = new Set();
  engine.onEvent = (event) => {
    for (const response of feed)
      response.write(`id: mock:${event.id}\nevent: ${event.name}\ndata: ${JSON.stringify(event.data)}\n\n`);
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    try {
      if (url.pathname.startsWith('/api/v1/')) await api(engine, feed, request, response, url);
      else if (url.pathname.startsWith('/t/')) await trigger(engine, request, response, url);
      else await file(response, url);
    } catch (error) {
      if (error.problem) answer(response, error.problem.status, error.problem, 'application/problem+json');
      else
        answer(
          response,
          500,
          { status: 500, title: String(error.stack ?? error), code: 'MOCK_FAILED' },
          'application/problem+json',
        );
    }
  });
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => {
      resolve({
        engine,
        url: `http://127.0.0.1:${server.address().port}`,
        stop: () => {
          for (const one of feed) one.end();
          engine.stop();
          server.closeAllConnections();
          server.close();
        },
      });
    });
  });
}

function answer(response, status, body, type = 'application/json', headers = {}) {
  response.writeHead(status, { 'content-type': type, ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

export function refuse(status, code, title, extra = {}) {
  return Object.assign(new Error(title), { problem: { type: 'about:blank', title, status, code, ...extra } });
}

async function bytes(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_MAX) throw refuse(413, 'BODY_TOO_LARGE', 'The body is larger than 32 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function body(request) {
  const text = (await bytes(request)).toString('utf8');
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    throw refuse(400, 'BODY_NOT_JSON', 'The body is not JSON');
  }
}

/** What is asked about connections, secrets and grants. */
async function reachable(engine, request, url) {
  const parts = url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent);
  if (!['connections', 'secrets', 'grants', 'plugins'].includes(parts[0])) return undefined;
  if (parts[0] === 'plugins' && parts.length < 4) return undefined;
  const given = ['PUT', 'POST'].includes(request.method) ? await body(request) : null;
  return engine.reach.answer(request.method, parts, given, url.searchParams, engine.plugins);
}

async function api(engine, feed, request, response, url) {
  const path = url.pathname.slice('/api/v1'.length);
  const route = `${request.method} ${path}`;
  const cookie = /stepwell_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  if (['/setup', '/session'].includes(path) && (request.method === 'POST' || path === '/setup')) {
    const open = engine.people.open(route, await body(request));
    const cookie = { 'set-cookie': 'stepwell_session=1; HttpOnly; SameSite=Strict; Path=/' };
    return answer(response, 200, open, undefined, request.method === 'POST' ? cookie : {});
  }
  if (cookie !== '1' && request.headers.authorization !== 'Bearer demo')
    throw refuse(401, 'SIGNED_OUT', 'Sign in first');
  if (cookie === '1' && request.method !== 'GET' && request.headers['stepwell-csrf'] !== '1')
    throw refuse(403, 'CSRF', 'The request lacks its header');
  if (route === 'GET /session') return answer(response, 200, engine.people.session);
  if (route === 'PUT /session/password') return answer(response, 200, { ...engine.people.session, mustChange: false });
  if (route === 'DELETE /session')
    return answer(response, 204, undefined, undefined, { 'set-cookie': 'stepwell_session=; Max-Age=0; Path=/' });
  if (route === 'GET /events') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': hello\n\n');
    feed.add(response);
    const beat = setInterval(() => response.write(': beat\n\n'), 15_000);
    request.on('close', () => {
      clearInterval(beat);
      feed.delete(response);
    });
    return undefined;
  }
  if (route === 'GET /status') return answer(response, 200, engine.status());
  if (route === 'GET /flows') return answer(response, 200, { items: engine.flowList(), next: null });
  if (route === 'POST /flows/check') {
    const { document } = await body(request);
    return answer(response, 200, {
      problems: check(document, engine.nodeTypes, engine.flows),
      hash: engine.hash(document),
    });
  }
  if (route === 'GET /node-types') return answer(response, 200, { items: engine.nodeTypes, hash: 'mock' });
  const reached = await reachable(engine, request, url);
  if (reached) return answer(response, ...reached);
  if (route === 'GET /plugins') return answer(response, 200, { items: engine.plugins, next: null });
  if (route === 'POST /plugins') {
    const upload = engine.builds.upload(await bytes(request), url.searchParams);
    return answer(response, 202, upload);
  }
  if (route === 'GET /schedules') return answer(response, 200, { items: engine.schedules() });
  if (route === 'GET /audit') {
    const asked = Object.fromEntries(url.searchParams);
    const fits = (row) =>
      (!asked.who || row.who === asked.who) &&
      (!asked.action || row.action === asked.action || row.action.startsWith(`${asked.action}.`)) &&
      (!asked.target || row.target === asked.target);
    return answer(response, 200, { items: engine.audit.filter(fits).slice(-100).reverse(), next: null });
  }
  if (route === 'POST /messages') return answer(response, 202, engine.message(await body(request)));
  if (route === 'POST /bulk') return answer(response, 200, engine.bulk(await body(request)));
  if (route === 'GET /instances') return answer(response, 200, engine.find(Object.fromEntries(url.searchParams)));

  const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  if (parts[0] === 'plugins') return builds(engine.builds, request, response, parts);
  if (parts[0] === 'flows') return flows(engine, request, response, parts);
  if (parts[0] === 'users' || parts[0] === 'tokens') {
    const asked = request.method === 'GET' ? {} : await body(request);
    return answer(response, 200, engine.people.answer(request.method, parts, asked));
  }
  if (parts[0] === 'tables') return tables(response, parts);
  if (parts[0] === 'routes') return routes(engine, request, response, parts);
  if (parts[0] === 'tasks' || parts[0] === 'external-tasks') return tasks(engine, request, response, parts, url);
  if (parts[0] === 'record-types' || parts[0] === 'records') return records(engine, request, response, parts, url);
  if (parts[0] === 'instances') return instances(engine, request, response, parts, url);
  throw refuse(404, 'NOT_FOUND', 'There is no such resource');
}

async function builds(plugins, request, response, [, digest, what]) {
  if (digest === 'uploads') {
    if (!what) return answer(response, 200, { items: plugins.uploads });
    const found = plugins.uploads.find((one) => one.id === what);
    return found ? answer(response, 200, found) : answer(response, 404, { status: 404, code: 'UPLOAD_NOT_FOUND' });
  }
  const build = plugins.find(digest, refuse);
  if (what === 'where-used') {
    const versions = build.usedBy.map((use, index) => ({ ...use, retired: false, live: 3 - index, neededBy: [] }));
    return answer(response, 200, { versions, drafts: [] });
  }
  if (what === 'revoke' && request.method === 'DELETE') {
    build.revoked = null;
    return answer(response, 204);
  }
  if (what === 'revoke') {
    build.revoked = { reason: (await body(request)).reason, at: new Date().toISOString(), by: 'admin' };
    return answer(response, 200, build.revoked);
  }
  if (what === 'roll-forward') return answer(response, 200, plugins.rollForward(digest, await body(request), refuse));
  throw refuse(404, 'NOT_FOUND', 'There is no such resource');
}

/** The tables of the sample flows, as they were published first. */
function tables(response, [, key, what]) {
  const all = ['fee_points', 'freight', 'order_types'].map((name) =>
    JSON.parse(readFileSync(new URL(`../../flows/${name}.json`, import.meta.url), 'utf8')),
  );
  const published = { version: 1, publishedAt: new Date().toISOString(), publishedBy: 'admin' };
  const item = (one) => ({ key: one.key, title: one.title, rules: one.table.rules.length, ...published });
  if (key === undefined) return answer(response, 200, { items: all.map(item) });
  const document = all.find((one) => one.key === key);
  if (!document) throw refuse(404, 'TABLE_NOT_FOUND', 'There is no such table');
  if (what === 'where-used')
    return answer(response, 200, { versions: [], triggers: [], routes: ['orders'], calledBy: [], drafts: [] });
  return answer(response, 200, { key, document, hash: 'mock', versions: [1], ...published });
}

async function records(engine, request, response, [what, type, id], url) {
  engine.recordTypes ??= new Map();
  engine.records ??= new Map();
  const now = new Date().toISOString();
  if (what === 'record-types') {
    if (request.method === 'PUT') {
      const { document } = await body(request);
      engine.recordTypes.set(type, {
        key: type,
        version: 1,
        document,
        hash: 'mock',
        publishedAt: now,
        publishedBy: 'admin',
      });
    }
    return answer(response, 200, type ? engine.recordTypes.get(type) : { items: [...engine.recordTypes.values()] });
  }
  if (request.method === 'PUT' && !engine.records.has(id)) {
    const asked = await body(request);
    const found = engine.recordTypes.get(type).document.statuses.find((one) => one.name === asked.status);
    engine.records.set(id, { id, ...asked, statusCode: found.code, revision: '1', updatedAt: now });
  }
  const read = (one) => ({ ...one, readAt: now });
  if (id) return answer(response, 200, read(engine.records.get(id)));
  const wanted = url.searchParams.get('status');
  const items = [...engine.records.values()].filter((one) => !wanted || one.status === wanted);
  return answer(response, 200, { items: items.map(read), next: null });
}

async function flows(engine, request, response, [, key, what, rest]) {
  const method = request.method;
  if (method === 'GET' && !what) return answer(response, 200, engine.flowDetail(key));
  if (what === 'draft' && method === 'GET') return answer(response, 200, engine.draft(key));
  if (what === 'draft' && method === 'DELETE') return answer(response, 204, engine.dropDraft(key));
  if (what === 'draft' && method === 'PUT') {
    const { document } = await body(request);
    const saved = engine.saveDraft(key, document, request.headers['if-match']?.replaceAll('"', '') ?? null);
    return answer(response, 200, { ...saved, problems: check(document, engine.nodeTypes, engine.flows) });
  }
  if (what === 'publish' && method === 'POST') {
    const { label, document } = await body(request);
    const wanted = document ?? engine.draft(key).document;
    const problems = check(wanted, engine.nodeTypes, engine.flows);
    if (problems.some((problem) => problem.severity === 'error'))
      throw refuse(422, 'FLOW_HAS_PROBLEMS', 'The flow has problems', { problems });
    const done = engine.publish(wanted, { by: 'admin', label });
    return answer(response, done.again ? 200 : 201, { ...done, warnings: problems });
  }
  if (what === 'bindings') return binding(engine, request, response, key, rest);
  if (what === 'versions' && method === 'GET') return answer(response, 200, engine.version(key, Number(rest)));
  if (what === 'instances' && method === 'POST') {
    const { input, businessKey, version } = await body(request);
    const instance = engine.startInstance(key, { input, businessKey, version });
    return answer(response, 202, { id: instance.id, state: instance.state });
  }
  throw refuse(404, 'NOT_FOUND', 'There is no such resource');
}

async function binding(engine, request, response, key, what) {
  const { versions } = engine.needFlow(key);
  if (what === 'figures') return answer(response, 200, figures(engine.flowDetail(key).versions));
  if (what === 'preview') {
    const asked = await body(request);
    const rules = asked.binding ?? engine.bindings.get(key).binding;
    return answer(response, 200, { items: foresee(versions, rules, asked.items ?? []) });
  }
  return kept(engine.bindings, request, response, key);
}

async function routes(engine, request, response, [, path]) {
  if (path === undefined) return answer(response, 200, { items: engine.routes.all() });
  return kept(engine.routes, request, response, path);
}

async function kept(all, request, response, name) {
  if (request.method === 'GET') return answer(response, 200, all.get(name));
  if (request.method === 'DELETE') return answer(response, 204, all.drop(name));
  const rules = (await body(request))[all.what];
  return answer(response, 200, all.put(name, rules, request.headers['if-match']?.replaceAll('"', '') ?? null));
}

async function instances(engine, request, response, [, id, what], url) {
  if (request.method === 'GET' && !what) return answer(response, 200, engine.instance(id));
  if (request.method === 'GET' && what === 'journal') {
    const after = Number(url.searchParams.get('after') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? 200);
    const all = engine.need(id).journal.filter((entry) => entry.seq > after);
    return answer(response, 200, {
      items: all.slice(0, limit),
      next: all.length > limit ? String(all[limit - 1].seq) : null,
    });
  }
  if (request.method === 'POST' && what === 'migrate') {
    const asked = await body(request);
    const report = engine.migration(id, asked);
    if (asked.dryRun) return answer(response, 200, report);
    if (!report.fits)
      throw refuse(409, 'MIGRATION_UNFIT', 'The instance cannot go on with that version', { unfit: report.unfit });
    return answer(response, 202, engine.migrate(id, asked));
  }
  if (
    request.method === 'POST' &&
    ['cancel', 'retry', 'compensate', 'suspend', 'resume', 'move', 'skip'].includes(what)
  ) {
    return answer(response, 202, engine.command(id, what, await body(request)));
  }
  throw refuse(404, 'NOT_FOUND', 'There is no such resource');
}

async function tasks(engine, request, response, [kind, id, what], url) {
  const person = kind === 'tasks';
  if (request.method === 'GET' && !person)
    return answer(response, 200, { items: engine.openWork(url.searchParams.get('instance')) });
  if (request.method === 'GET' && id === undefined) return answer(response, 200, { items: engine.openTasks() });
  if (what === 'claim' || what === 'assign') return answer(response, 200, engine.give(id, (await body(request)).user));
  if (request.method === 'POST' && id === 'fetch')
    return answer(response, 200, { items: engine.fetchWork(await body(request)) });
  if (request.method === 'GET') return answer(response, 200, engine.task(id));
  if (what === 'complete' || what === 'fail')
    return answer(response, 202, engine.answerTask(id, what, await body(request)));
  throw refuse(404, 'NOT_FOUND', 'There is no such resource');
}

async function trigger(engine, request, response, url) {
  const input = await body(request);
  const instance = engine.startInstance(decodeURIComponent(url.pathname.slice(3)), { input });
  answer(response, 202, { id: instance.id });
}

async function file(response, url) {
  const wanted = normalize(decodeURIComponent(url.pathname)).replace(/^\/+/, '');
  const asset = wanted !== '' && extname(wanted) !== '';
  try {
    const data = await readFile(join(DIST, asset ? wanted : 'index.html'));
    response.writeHead(200, {
      'content-type': TYPES[asset ? extname(wanted) : '.html'] ?? 'application/octet-stream',
      'content-security-policy': CSP,
      'cache-control': wanted.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
    response.end(data);
  } catch {
    answer(response, 404, { status: 404, title: 'There is no such file', code: 'NOT_FOUND' });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await start({ port: Number(process.env.PORT ?? 7070) });
  console.log(`${url}/?token=demo`);
}
