// Every request the console makes. A refusal is an ApiError that carries the problem document; what to say to the
// person is the caller's business. Imports nothing of ours outside this folder.
import type {
  ApiToken,
  AuditEntry,
  Binding,
  BindingRules,
  BulkAsked,
  BulkDone,
  CheckResult,
  Compatibility,
  Draft,
  DraftSaved,
  ExternalTask,
  Figures,
  FlowDetail,
  FlowSummary,
  Foreseen,
  InstanceDetail,
  InstanceSummary,
  JournalEntry,
  Json,
  NodeType,
  Page,
  Plugin,
  ProblemBody,
  Published,
  RecordEntry,
  RecordTypeVersion,
  RoleGiven,
  RouteEntry,
  RouteRules,
  RulesSaved,
  ScheduleItem,
  Session,
  StartResult,
  Status,
  User,
  UserTask,
  VersionDetail,
} from './shapes';

export const BASE = '/api/v1';

type TokenId = string | number;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly body: ProblemBody,
  ) {
    super(body.detail ?? body.title ?? code);
  }
}

let unauthorized: () => void = () => {};
/** Called when the server no longer knows the session. */
export function onUnauthorized(handler: () => void): void {
  unauthorized = handler;
}

interface Options {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function send(path: string, options: Options = {}): Promise<Response> {
  const method = options.method ?? 'GET';
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  let body: BodyInit | undefined;
  if (options.body !== undefined) {
    headers['content-type'] = 'application/json';
    body = JSON.stringify(options.body);
  }
  if (method !== 'GET') headers['stepwell-csrf'] = '1';
  let response: Response;
  try {
    response = await fetch(BASE + path, { method, headers, body, signal: options.signal, credentials: 'same-origin' });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new ApiError(0, 'UNREACHABLE', { status: 0, title: 'The engine cannot be reached' });
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response: Response): Promise<ApiError> {
  let body: ProblemBody = { status: response.status, title: response.statusText };
  try {
    body = { ...body, ...((await response.json()) as ProblemBody) };
  } catch {
    // A proxy may answer with HTML; the status has to do.
  }
  if (response.status === 401) unauthorized();
  return new ApiError(response.status, body.code ?? `HTTP_${response.status}`, body);
}

export async function json<T>(path: string, options?: Options): Promise<T> {
  const response = await send(path, options);
  const text = await response.text();
  return (text === '' ? null : JSON.parse(text)) as T;
}

export const part = encodeURIComponent;

export function query(params: Record<string, string | number | undefined | null>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

export const post = (body: unknown = {}, headers?: Record<string, string>): Options => ({
  method: 'POST',
  body,
  headers,
});

const put = (body: unknown, revision: string | null): Options => ({
  method: 'PUT',
  body,
  headers: revision === null ? { 'if-none-match': '*' } : { 'if-match': `"${revision}"` },
});

export const api = {
  session: () => json<Session>('/session'),
  login: (by: { name: string; password: string } | { token: string }) => json<Session>('/session', post(by)),
  logout: () => json<null>('/session', { method: 'DELETE' }),
  ownPassword: (current: string, password: string) =>
    json<Session>('/session/password', { method: 'PUT', body: { current, password } }),
  setup: () => json<{ administered: boolean }>('/setup'),
  firstAdmin: (body: { link: string; name: string; password: string }) => json<Session>('/setup', post(body)),
  status: () => json<Status>('/status'),

  flows: () => json<Page<FlowSummary>>('/flows'),
  flow: (key: string) => json<FlowDetail>(`/flows/${part(key)}`),
  draft: (key: string) => json<Draft>(`/flows/${part(key)}/draft`),
  saveDraft: (key: string, document: unknown, revision: string | number | null) =>
    json<DraftSaved>(`/flows/${part(key)}/draft`, {
      method: 'PUT',
      body: { document },
      headers: revision === null ? { 'if-none-match': '*' } : { 'if-match': `"${revision}"` },
    }),
  dropDraft: (key: string) => json<null>(`/flows/${part(key)}/draft`, { method: 'DELETE' }),
  check: (document: unknown, signal?: AbortSignal) =>
    json<CheckResult>('/flows/check', { ...post({ document }), signal }),
  publish: (key: string, body: { revision?: string | number | null; label?: string; document?: unknown }) =>
    json<Published>(`/flows/${part(key)}/publish`, post(body)),
  /** As it is drawn: of what extends a template, the graph that comes of it, with the document as `source`. */
  version: (key: string, version: number) =>
    json<VersionDetail>(`/flows/${part(key)}/versions/${version}`).then((one) =>
      one.resolved ? { ...one, source: one.document, document: one.resolved } : one,
    ),
  start: (key: string, body: { input: Json; businessKey?: string; version?: number }, idempotencyKey: string) =>
    json<StartResult>(`/flows/${part(key)}/instances`, post(body, { 'idempotency-key': idempotencyKey })),

  binding: (key: string) => json<Binding>(`/flows/${part(key)}/bindings`),
  saveBinding: (key: string, binding: BindingRules, revision: string | null) =>
    json<RulesSaved>(`/flows/${part(key)}/bindings`, put({ binding }, revision)),
  dropBinding: (key: string) => json<null>(`/flows/${part(key)}/bindings`, { method: 'DELETE' }),
  previewBinding: (key: string, body: { binding?: BindingRules; items: { businessKey?: string; input?: Json }[] }) =>
    json<{ items: Foreseen[] }>(`/flows/${part(key)}/bindings/preview`, post(body)),
  figures: (key: string) => json<Figures>(`/flows/${part(key)}/bindings/figures`),

  routes: () => json<{ items: RouteEntry[] }>('/routes'),
  route: (path: string) => json<RouteEntry>(`/routes/${part(path)}`),
  saveRoute: (path: string, route: RouteRules, revision: string | null) =>
    json<RulesSaved>(`/routes/${part(path)}`, put({ route }, revision)),
  dropRoute: (path: string) => json<null>(`/routes/${part(path)}`, { method: 'DELETE' }),

  instances: (filter: Record<string, string | number | undefined | null>, signal?: AbortSignal) =>
    json<Page<InstanceSummary>>(`/instances${query(filter)}`, { signal }),
  instance: (id: string) => json<InstanceDetail>(`/instances/${part(id)}`),
  journal: (id: string, after?: number, limit = 500) =>
    json<Page<JournalEntry>>(`/instances/${part(id)}/journal${query({ after, limit })}`),
  cancel: (id: string, reason?: string) => json<unknown>(`/instances/${part(id)}/cancel`, post({ reason })),
  retry: (id: string, what: { node?: string; token?: TokenId; newKey?: boolean } = {}) =>
    json<unknown>(`/instances/${part(id)}/retry`, post(what)),
  suspend: (id: string, reason?: string) => json<unknown>(`/instances/${part(id)}/suspend`, post({ reason })),
  resume: (id: string) => json<unknown>(`/instances/${part(id)}/resume`, { method: 'POST' }),
  move: (id: string, token: TokenId, to: string) => json<unknown>(`/instances/${part(id)}/move`, post({ token, to })),
  skip: (id: string, token: TokenId) => json<unknown>(`/instances/${part(id)}/skip`, post({ token })),
  erase: (id: string) => json<unknown>(`/instances/${part(id)}`, { method: 'DELETE' }),
  migrate: (id: string, version: number, nodes: Record<string, string>) =>
    json<unknown>(`/instances/${part(id)}/migrate`, post({ version, nodes })),
  /** Whether it could migrate; nothing is done. */
  migration: (id: string, version: number, nodes: Record<string, string>) =>
    json<Compatibility>(`/instances/${part(id)}/migrate`, post({ version, nodes, dryRun: true })),
  bulk: (asked: BulkAsked) => json<BulkDone>('/bulk', post(asked)),
  compensate: (id: string, reason?: string) => json<unknown>(`/instances/${part(id)}/compensate`, post({ reason })),
  message: (body: { name: string; key: string; payload: Json; id?: string }) => json<unknown>('/messages', post(body)),

  tasks: (filter: Record<string, string | number | null> = {}) =>
    json<{ items: UserTask[] }>(`/tasks${query({ limit: 200, ...filter })}`),
  claimTask: (id: string, user?: string) => json<unknown>(`/tasks/${part(id)}/claim`, post({ user })),
  assignTask: (id: string, user: string | null) => json<unknown>(`/tasks/${part(id)}/assign`, post({ user })),
  task: (id: string) => json<UserTask>(`/tasks/${part(id)}`),
  completeTask: (id: string, output: Json) => json<unknown>(`/tasks/${part(id)}/complete`, post({ output })),
  failTask: (id: string, rejected: { code: string; message?: string }) =>
    json<unknown>(`/tasks/${part(id)}/fail`, post(rejected)),
  externalTasks: (instance?: string) =>
    json<{ items: ExternalTask[] }>(`/external-tasks${query({ instance, limit: 500 })}`),
  fetchTasks: (topic: string, worker: string, limit: number, lock: string) =>
    json<{ items: ExternalTask[] }>('/external-tasks/fetch', post({ topics: [topic], worker, limit, lock })),
  giveBack: ({ id, attempt }: ExternalTask, worker: string) =>
    json<unknown>(`/external-tasks/${part(id)}/extend`, post({ worker, attempt, lock: '0s' })),
  completeWork: ({ id, attempt }: ExternalTask, worker: string, output: Json) =>
    json<unknown>(`/external-tasks/${part(id)}/complete`, post({ worker, attempt, output })),
  failWork: ({ id, attempt }: ExternalTask, worker: string, how: { message?: string; rejected?: { code: string } }) =>
    json<unknown>(`/external-tasks/${part(id)}/fail`, post({ worker, attempt, ...how })),
  schedules: () => json<{ items: ScheduleItem[] }>('/schedules'),

  plugins: () => json<Page<Plugin>>('/plugins'),
  nodeTypes: () => json<{ items: NodeType[]; hash?: string }>('/node-types'),
  connections: () => json<{ items: { name: string }[] }>('/connections'),
  recordTypes: () => json<{ items: RecordTypeVersion[] }>('/record-types'),
  records: (type: string, status?: string, cursor?: string) =>
    json<Page<RecordEntry>>(`/records/${encodeURIComponent(type)}${query({ status: status || undefined, cursor })}`),
  record: (type: string, id: string) =>
    json<RecordEntry>(`/records/${encodeURIComponent(type)}/${encodeURIComponent(id)}`),
  audit: (filter: Record<string, string | undefined>) => json<Page<AuditEntry>>(`/audit${query(filter)}`),

  users: () => json<{ items: User[] }>('/users'),
  addUser: (user: { name: string; password: string; roles: RoleGiven[] }) => json<User>('/users', post(user)),
  setRoles: (name: string, roles: RoleGiven[]) =>
    json<User>(`/users/${part(name)}/roles`, { method: 'PUT', body: { roles } }),
  setPassword: (name: string, password: string) =>
    json<null>(`/users/${part(name)}/password`, { method: 'PUT', body: { password } }),
  setDisabled: (name: string, disabled: boolean) =>
    json<User>(`/users/${part(name)}/${disabled ? 'disable' : 'enable'}`, post()),
  endSessions: (name: string) => json<null>(`/users/${part(name)}/sessions`, { method: 'DELETE' }),
  deleteUser: (name: string) => json<null>(`/users/${part(name)}`, { method: 'DELETE' }),
  tokens: () => json<{ items: ApiToken[] }>('/tokens'),
  addToken: (token: { name: string; roles: RoleGiven[]; expiresIn?: string }) =>
    json<ApiToken & { token: string }>('/tokens', post(token)),
  revokeToken: (id: string) => json<null>(`/tokens/${part(id)}`, { method: 'DELETE' }),
};

/** Sends a component. fetch() cannot report upload progress, so this one uses XMLHttpRequest. */
