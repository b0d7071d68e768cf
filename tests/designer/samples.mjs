// What the stand-in engine knows at start, read from the project itself: the plugins' manifests and the sample flows.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
const read = (path) => JSON.parse(readFileSync(new URL(path, root), 'utf8'));

// The class follows from a component's imports; there are no components here.
const EFFECTS = { commerce: 'external', payment: 'external', http: 'external' };
const IMPORTS = {
  pure: [],
  external: [
    'stepwell:node/types@0.1.0',
    'wasi:clocks/monotonic-clock@0.2.6',
    'wasi:http/outgoing-handler@0.2.6',
    'wasi:io/streams@0.2.6',
  ],
};
const BYTES = { commerce: 184_120, payment: 171_804, order: 62_340, http: 233_900, json: 48_200, script: 912_400 };
const NAMES = readdirSync(new URL('plugins/', root), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name in BYTES)
  .map((entry) => entry.name)
  .filter((name) => (read(`plugins/${name}/manifest.json`)['node-types'] ?? []).length > 0);

function nodeTypesOf(plugin) {
  const effect = EFFECTS[plugin] ?? 'pure';
  const digest = createHash('sha256').update(plugin).digest('hex');
  return read(`plugins/${plugin}/manifest.json`)['node-types'].map((type) => ({
    id: `${plugin}/${type.name}`,
    major: 1,
    uses: `${plugin}/${type.name}@1`,
    plugin: `${plugin}@1.0.0`,
    digest,
    effect,
    title: type.title,
    summary: type.summary,
    category: type.category,
    icon: type.icon,
    config: type['config-schema'],
    input: type['input-schema'],
    ports: type.ports.map((port) => ({ name: port.name, title: port.title, output: port['output-schema'] })),
    errors: type.errors ?? [],
    undo: type.has?.includes('undo') ?? false,
    resume: type.has?.includes('resume') ?? false,
    query: type.has?.includes('query') ?? false,
    examples: type.examples.map(({ title, config, input, port, output }) => ({
      title: title?.en ?? '',
      config,
      input,
      port,
      output,
    })),
  }));
}

export const communityOrder = read('flows/community_order.json');
export const order5 = read('flows/order-5.json');
const flows = [communityOrder, order5];

export const plugins = NAMES.map((name, index) => {
  const nodeTypes = nodeTypesOf(name);
  const uses = new Set(nodeTypes.map((type) => type.uses));
  return {
    name,
    version: '1.0.0',
    digest: nodeTypes[0].digest,
    effect: nodeTypes[0].effect,
    bytes: BYTES[name],
    imports: IMPORTS[nodeTypes[0].effect],
    loadedAt: new Date(Date.now() - 3_600_000 * (index + 2)).toISOString(),
    nodeTypes,
    usedBy: flows
      .filter((flow) => Object.values(flow.nodes).some((node) => uses.has(node.uses)))
      .map((flow) => ({ flow: flow.key, version: 1 })),
    status: 'live',
    raisedBy:
      nodeTypes[0].effect === 'external'
        ? [
            {
              import: 'wasi:http/outgoing-handler@0.2.12',
              remedy: 'Rust: leave out the feature `http` of stepwell-sdk',
            },
          ]
        : [],
    sizes: {
      codeBytes: Math.round(BYTES[name] * 0.7),
      dataBytes: Math.round(BYTES[name] * 0.2),
      customBytes: 900,
      memoryBytes: 1_114_112,
    },
    rehearsed: nodeTypes.flatMap((type) =>
      type.examples.map((_, example) => ({ nodeType: type.id.split('/')[1], example, tookUs: 180 + 37 * example })),
    ),
    revoked: null,
  };
});
// An older build that flows are still on, and one that was taken back.
const [first] = plugins;
plugins.push({
  ...first,
  digest: `0${first.digest.slice(1)}`,
  version: '0.9.0',
  status: 'superseded',
  usedBy: [],
  revoked: {
    reason: 'It forgets the second half of long lists',
    at: new Date(Date.now() - 7_200_000).toISOString(),
    by: 'admin',
  },
});
const used = plugins.find((plugin) => plugin.usedBy.length > 0);
plugins.push({ ...used, digest: `1${used.digest.slice(1)}`, status: 'superseded' });
export const nodeTypes = plugins.filter((plugin) => plugin.status === 'live').flatMap((plugin) => plugin.nodeTypes);
