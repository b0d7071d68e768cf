// Connections, secrets and grants of the stand-in engine: kept as they are given, with nothing sealed and nothing sent.

const at = '2026-11-20T09:30:00Z';
const spec = (of) => ({
  scheme: 'https',
  port: null,
  methods: [],
  pathPrefix: '',
  allowPrivate: false,
  headers: {},
  secrets: [],
  ratePerSecond: null,
  concurrency: null,
  ...of,
});

export class Reach {
  connections = new Map([
    [
      'gateway',
      spec({
        host: 'pay.example.com',
        pathPrefix: '/v2',
        methods: ['GET', 'POST'],
        headers: { authorization: 'Bearer $secret:PAY_TOKEN' },
        secrets: ['PAY_TOKEN', 'gateway.HOOK'],
        ratePerSecond: 50,
        concurrency: 8,
      }),
    ],
    ['shop', spec({ scheme: 'http', host: '127.0.0.1', port: 7071, allowPrivate: true, secrets: ['SHOP_KEY'] })],
  ]);
  secrets = new Map([
    ['PAY_TOKEN', { version: 3, readable: true }],
    ['SHOP_KEY', { version: 1, readable: false }],
    ['gateway.HOOK', { version: 1, readable: true }],
  ]);
  grants = [
    { plugin: 'commerce', namespace: '*', connections: { shop: {} }, records: [] },
    {
      plugin: 'commerce@1',
      namespace: 'default',
      connections: { gateway: { methods: ['POST'], paths: ['/charges'], ratePerSecond: 20 } },
      records: ['order'],
      memoryMiB: 128,
      timeMs: 10_000,
    },
  ];

  secret(name) {
    const usedBy = [...this.connections].filter(([, one]) => one.secrets.includes(name)).map(([key]) => key);
    return { name, ...this.secrets.get(name), changedAt: at, changedBy: 'admin', keyId: '5f1d22a0', usedBy };
  }

  of(plugin, namespace) {
    const mine = this.grants.filter(
      (one) => one.plugin.split('@')[0] === plugin.name && ['*', namespace].includes(one.namespace),
    );
    const ways = mine.flatMap((grant) =>
      Object.entries(grant.connections).map(([name, narrowed]) => {
        const { scheme, host, port, pathPrefix, allowPrivate, methods, secrets, ...bounds } =
          this.connections.get(name);
        return {
          name,
          scheme,
          host,
          port,
          pathPrefix,
          allowPrivate,
          methods: narrowed.methods ?? methods,
          paths: narrowed.paths ?? [],
          ratePerSecond: narrowed.ratePerSecond ?? bounds.ratePerSecond,
          concurrency: narrowed.concurrency ?? bounds.concurrency,
          secrets: secrets.map((secret) => ({
            name: secret,
            placeholder: `$secret:${secret.split('.').pop()}`,
            ready: this.secrets.get(secret)?.readable ?? false,
          })),
          grantedBy: { plugin: grant.plugin, namespace: grant.namespace },
        };
      }),
    );
    const said = (field, none) => mine.findLast((one) => one[field] !== undefined)?.[field] ?? none;
    return {
      plugin: plugin.name,
      version: plugin.version,
      digest: plugin.digest,
      namespace,
      effect: plugin.effect,
      imports: plugin.imports.map((name) => ({
        name,
        class: name.startsWith('wasi:http') ? 'external' : name.startsWith('wasi:clocks') ? 'recorded' : 'pure',
      })),
      connections: ways,
      records: [...new Set(mine.flatMap((one) => one.records))],
      memoryMiB: said('memoryMiB', 64),
      timeMs: said('timeMs', null),
      reuse: said('reuse', 1),
    };
  }

  /** The answer as `[status, body]`, or nothing where it is not asked of this. */
  answer(method, parts, body, query, plugins) {
    const [what, name, third, fourth] = parts;
    const items = {
      connections: () =>
        [...this.connections].map(([key, one]) => ({ name: key, ...one, updatedAt: at, updatedBy: 'admin' })),
      secrets: () => [...this.secrets.keys()].map((key) => this.secret(key)),
      grants: () => this.grants.map((one) => ({ ...one, grantedAt: at, grantedBy: 'admin' })),
    }[what];
    if (what === 'plugins' && fourth === 'reach') {
      const plugin = plugins.find((one) => one.name === name && one.version === third);
      return plugin
        ? [200, this.of(plugin, query.get('namespace') ?? 'default')]
        : [404, { status: 404, code: 'PLUGIN_NOT_FOUND' }];
    }
    if (!items) return undefined;
    if (method === 'GET' && !name) return [200, { items: items(), keyId: '5f1d22a0' }];
    if (what === 'connections' && third === 'probe')
      return [200, { status: 204, message: 'it answered 204 No Content', durationMs: 12 }];
    if (what === 'connections' && method === 'PUT') {
      this.connections.set(name, spec(body));
      return [200, items().find((one) => one.name === name)];
    }
    if (what === 'secrets' && method === 'PUT') {
      this.secrets.set(name, { version: (this.secrets.get(name)?.version ?? 0) + 1, readable: true });
      return [200, this.secret(name)];
    }
    if (what === 'grants' && (method === 'PUT' || method === 'DELETE')) {
      const namespace = query.get('namespace') ?? '*';
      this.grants = this.grants.filter((one) => one.plugin !== name || one.namespace !== namespace);
      if (method === 'PUT') this.grants.push({ plugin: name, namespace, ...body });
      return [204, null];
    }
    if (method === 'DELETE') {
      this[what].delete(name);
      return [204, null];
    }
    return undefined;
  }
}
