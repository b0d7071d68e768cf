// The stand-in's plugins: how one comes in, is taken back, and how flows get off an older build.
import { createHash } from 'node:crypto';

const STAGES = ['size', 'imports', 'compile', 'describe', 'schemas', 'examples', 'compatibility', 'live'];
const now = () => new Date().toISOString();

/** What the newest build of a plugin would change, as the engine says it. */
const changes = (plugin) => ({
  replaces: { version: plugin.version, digest: plugin.digest },
  report: {
    from: plugin.version,
    to: '1.1.0',
    sameMajor: true,
    breaking: true,
    changes: [
      { code: 'import-added', of: 'imports', message: 'imports wasi:random/random@0.2.6 now', breaking: false },
    ],
    nodeTypes: [
      {
        name: plugin.nodeTypes[0].id.split('/')[1],
        kind: 'changed',
        breaking: true,
        changes: [
          {
            code: 'required-added',
            of: 'input',
            pointer: '/warehouse',
            message: '`warehouse` may not be left out any more',
            breaking: true,
          },
          {
            code: 'property-added',
            of: 'output/out',
            pointer: '/eta',
            message: '`eta` is new, and may be left out',
            breaking: false,
          },
        ],
      },
    ],
  },
  checked: 2,
  broken: [
    {
      flow: 'community_order',
      version: 1,
      problems: [
        {
          severity: 'error',
          code: 'INPUT_MISSING',
          pointer: '/nodes/validate_stock/with',
          message: '`with` lacks `warehouse`, which the node type requires',
        },
      ],
    },
  ],
});

export class Plugins {
  constructor(engine) {
    this.engine = engine;
    this.uploads = [];
  }

  find(digest, refuse) {
    const found = this.engine.plugins.find((one) => one.digest === digest);
    if (!found) throw refuse(404, 'PLUGIN_NOT_FOUND', 'No such plugin');
    return found;
  }

  /** Taken in at once: what is no component is refused, the rest is tried against the first plugin. */
  upload(wasm, query) {
    const dryRun = query.get('dryRun') === 'true';
    const digest = createHash('sha256').update(wasm).digest('hex');
    const upload = {
      id: `upload-${this.uploads.length + 1}`,
      at: now(),
      by: 'admin',
      file: query.get('file') ?? undefined,
    };
    Object.assign(upload, { bytes: wasm.length, digest, dryRun, problems: [], compatibility: null });
    if (wasm.subarray(0, 4).toString('latin1') !== '\0asm') {
      const fix = 'upload the `.wasm` of a WebAssembly component';
      const problem = {
        severity: 'error',
        code: 'PLUGIN_NOT_A_COMPONENT',
        pointer: '',
        message: 'the file is no WebAssembly',
        fix,
      };
      Object.assign(upload, {
        state: 'refused',
        failedAt: 'size',
        problems: [problem],
        stages: [{ stage: 'size', at: now() }],
      });
    } else {
      const plugin = this.engine.plugins[0];
      const stages = STAGES.filter((stage) => stage !== 'live' || !dryRun).map((stage) => ({ stage, at: now() }));
      Object.assign(upload, {
        state: dryRun ? 'tried' : 'live',
        stages,
        name: plugin.name,
        version: '1.1.0',
        effect: plugin.effect,
      });
      upload.compatibility = changes(plugin);
    }
    this.uploads.unshift(upload);
    return upload;
  }

  rollForward(digest, { to, dryRun = true }, refuse) {
    const old = this.find(digest, refuse);
    const other = this.find(to, refuse);
    const flows = old.usedBy.map((use, index) => ({
      flow: use.flow,
      fromVersion: use.version,
      outcome: index > 0 ? 'would-break' : dryRun ? 'ready' : 'done',
      version: dryRun || index > 0 ? null : use.version + 1,
      problems: index > 0 ? changes(old).broken[0].problems : [],
    }));
    return { dryRun, to: { name: other.name, version: other.version, digest: other.digest }, flows };
  }
}
