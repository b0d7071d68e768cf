// The engine's own checker, compiled to WASM, in a worker: a check never holds up a keystroke. The build puts the
// module into `pkg/`; without it this worker says so once and the console asks the server instead.

interface Core {
  default(input: { module_or_path: string }): Promise<unknown>;
  check(document: string, catalog: string): string;
  preview(expression: string, context: string, options: string): string;
  evaluateTable?(table: string, context: string): string;
}

export interface Ask {
  id: number;
  call: 'check' | 'preview' | 'evaluateTable';
  args: string[];
}

export type Told =
  | { id: number; ok: true; text: string }
  | { id: number; ok: false; message: string }
  | { ready: boolean; why?: string };

const scripts = import.meta.glob<Core>('./pkg/stepwell_core.js');
const binaries = import.meta.glob<string>('./pkg/stepwell_core_bg.wasm', { query: '?url', import: 'default' });

const tell = (message: Told): void => self.postMessage(message);

async function load(): Promise<Core | null> {
  const script = Object.values(scripts)[0];
  const binary = Object.values(binaries)[0];
  if (!script || !binary) return null;
  const [core, url] = await Promise.all([script(), binary()]);
  await core.default({ module_or_path: url });
  return core;
}

const loaded = load().then(
  (core) => {
    tell({ ready: core !== null });
    return core;
  },
  (error: unknown) => {
    tell({ ready: false, why: String(error) });
    return null;
  },
);

self.onmessage = async (event: MessageEvent<Ask>) => {
  const { id, call, args } = event.data;
  const core = await loaded;
  const [a = '', b = '', c = ''] = args;
  try {
    if (!core) throw new Error('the checker is not part of this build');
    let text: string;
    if (call === 'check') text = core.check(a, b);
    else if (call === 'preview') text = core.preview(a, b, c);
    else if (core.evaluateTable) text = core.evaluateTable(a, b);
    else throw new Error('this build cannot evaluate tables');
    tell({ id, ok: true, text });
  } catch (error) {
    tell({ id, ok: false, message: String(error) });
  }
};
