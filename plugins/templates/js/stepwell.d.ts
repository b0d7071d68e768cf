// What programs import. The modules themselves are in `stepwell`; editors read this.

declare module 'stepwell' {
  /** One text, in English, or one per language: `{ en: 'Greet', 'zh-CN': '问候' }`. */
  type Words = string | Record<string, string>;
  /** JSON Schema 2020-12; `x-ui` holds form hints, `x-title-zh-CN` stands beside `title`. */
  type Schema = Record<string, unknown>;

  /** Who is calling, and for which visit. */
  interface Call {
    instance: string;
    flow: string;
    version: number;
    node: string;
    visit: number;
    attempt: number;
    /** The same for every attempt of the visit; the host sends it with requests. */
    key: string;
    /** In `undo`: the key of the call that is undone. */
    forwardKey: string | null;
    businessKey: string | null;
    /** Milliseconds since the Unix epoch; 0 in a pure plugin. */
    deadlineMs: number;
    traceparent: string | null;
  }

  interface Example {
    title: Words;
    config?: unknown;
    input?: unknown;
    /** `out` unless it is given. */
    port?: string;
    output: unknown;
    /** For plugins that send requests: `example.http-tape` of the contract. */
    httpTape?: unknown[];
  }

  interface Given {
    call: Call;
    config: any;
    input: any;
  }

  interface Node {
    title: Words;
    summary?: Words;
    /** The palette's drawer: `data`, `logic`, `order`, `commerce`, `payment`, `network`, `script` or an own name. */
    category?: string;
    /** A standalone SVG, view box 24 x 24, drawn in `currentColor`. */
    icon?: string;
    config?: Schema;
    input?: Schema;
    /** Of the port `out`, where there is only that. */
    output?: Schema;
    /** For several ports. */
    ports?: Record<string, { title?: Words; schema?: Schema }>;
    /** Business errors: code to words. */
    errors?: Record<string, Words>;
    examples: Example[];

    /** Does the work. Safe to run twice with one `call.key`. Returns the output, or `leave(…)`, or `wait(…)`. */
    run(given: Given): unknown;
    /** Takes it back. `output` is null where the outcome is not known. Returns nothing, or `wait(…)`. */
    undo?(given: Given & { output: any }): void | Answer;
    /** Goes on after a wait. */
    resume?(given: {
      call: Call;
      config: any;
      memo: any;
      signal: { kind: 'message' | 'timeout' | 'cancelled'; payload: any };
    }): unknown;
    /** Finds out what became of `call.key`: the output, or `neverRan`. */
    query?(given: Given): unknown;
    /** What is wrong with a config that its schema cannot see. */
    check?(config: any): { pointer?: string; code: string; message: string; line?: number }[];
  }

  interface Plugin {
    /** Lower-case letters, digits and `-`. */
    name: string;
    version: string;
    /** SPDX expression. */
    licence: string;
    nodes: Record<string, Node>;
  }

  class Answer {}
  class Failure extends Error {}

  function plugin(definition: Plugin): Plugin;
  function rejected(code: string, message?: string, data?: unknown): Failure;
  function transient(message: string, retryAfterMs?: number): Failure;
  function permanent(message: string): Failure;
  function unknown(message: string): Failure;
  function leave(port: string, output?: unknown): Answer;
  function wait(what: { message: string; key: string; timeoutMs?: number; memo?: unknown }): Answer;
  const neverRan: Answer;
}

/** Importing it makes the plugin external: it reaches what an operator grants it. */
declare module 'stepwell/http' {
  interface Response {
    status: number;
    headers: Record<string, string>;
    text: string;
    ok: boolean;
    json(): any;
    /** The JSON body of a 2xx answer; else throws what the answer means. */
    accepted(): any;
  }

  function request(what: {
    method?: string;
    /** The name an operator grants. */
    connection: string;
    /** From the first `/`, percent-encoded. */
    path: string;
    headers?: Record<string, string>;
    json?: unknown;
    body?: string;
  }): Response;
}
