// The HTTP contract as the console sees it. Times are RFC 3339 text, ids are text, JSON values stay unknown
// until something that knows their schema looks at them. Imports nothing of ours.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Text = string | { en?: string; 'zh-CN'?: string };

export interface JsonSchema {
  type?: string | string[];
  title?: Text;
  description?: Text;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  enum?: Json[];
  const?: Json;
  default?: Json;
  examples?: Json[];
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  additionalProperties?: boolean | JsonSchema;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  [hint: `x-${string}`]: unknown;
}

export interface Problem {
  severity: 'error' | 'warning';
  code: string;
  pointer: string;
  message: string;
  fix?: string | null;
  node?: string | null;
}

export const INSTANCE_STATES = [
  'running',
  'waiting',
  'incident',
  'suspended',
  'compensating',
  'completed',
  'failed',
  'compensated',
  'cancelled',
] as const;
export type InstanceState = (typeof INSTANCE_STATES)[number];
export type Counts = Partial<Record<InstanceState, number>>;

export interface FlowSummary {
  key: string;
  title: Text;
  kind: string;
  latestVersion: number | null;
  hasDraft: boolean;
  draftDiffers: boolean;
  /** Rules pick the version of its starts. */
  hasBinding?: boolean;
  updatedAt: string;
  counts: Counts;
}

export interface VersionSummary {
  version: number;
  label?: string | null;
  hash: string;
  publishedAt: string;
  publishedBy?: string | null;
  /** Nothing is started on it any more since. */
  retiredAt?: string | null;
  counts?: Counts;
}

export interface FlowDetail extends FlowSummary {
  versions: VersionSummary[];
}

export interface VersionDetail extends VersionSummary {
  key: string;
  document: Json;
  digests?: Record<string, { plugin: string; digest: string }>;
  /** Of what extends a template: what runs, what was written, and how it differs. */
  resolved?: Json;
  source?: Json;
  comparison?: Comparison;
}

export type PartState = 'inherited' | 'overridden' | 'filled' | 'added' | 'removed';
export interface Comparison {
  template: string;
  nodes: Record<string, { state: PartState; pointer?: string; slot: boolean }>;
}

export interface Draft {
  document: Json;
  revision: string | number;
  updatedAt: string;
  baseVersion: number | null;
}

export interface DraftSaved {
  revision: string | number;
  updatedAt: string;
  problems: Problem[];
}

export interface CheckResult {
  problems: Problem[];
  hash?: string;
  resolved?: Json;
  comparison?: Comparison;
}

export interface Published {
  key: string;
  version: number;
  hash: string;
  warnings?: Problem[];
}

export interface NodeError {
  code: string;
  message: string;
  node?: string | null;
  class?: string | null;
}

export interface InstanceSummary {
  id: string;
  flow: string;
  version: number;
  businessKey: string | null;
  state: InstanceState;
  priority: number | string | null;
  startedAt: string;
  updatedAt: string;
  endedAt: string | null;
  error: NodeError | null;
}

export type TokenState =
  | 'calling'
  | 'retrying'
  | 'waiting'
  | 'timer'
  | 'joining'
  | 'incident'
  | 'undoing'
  /** A container or a call: what is in it runs. */
  | 'inside'
  /** Somebody has to do it. */
  | 'open'
  /** Given up, while its call has not come back. */
  | 'abandoned'
  /** Held by an operator. */
  | 'halted'
  /** Waits for others that have its lock. */
  | 'locked'
  /** Waits beside its node for what a handler listens to. */
  | 'guard';

export interface Token {
  token: string | number;
  /** The node's id; of a called flow's node its path, `pay.1/begin`. */
  node: string;
  /** The runs of containers around it: `each.1/0/`. */
  scope?: string | null;
  visit: number;
  state: TokenState;
  /** A listener of this moment is under way, not the node itself. */
  listener?: 'enter' | 'leave' | 'error' | 'end' | null;
  attempt: number;
  since: string;
  dueAt: string | null;
  waiting: { message: string; key: string } | null;
  error: NodeError | null;
}

export type NodeRunState = 'done' | 'active' | 'waiting' | 'incident' | 'failed' | 'undone' | 'skipped';

export interface NodeRun {
  state: NodeRunState;
  visits: number;
  attempts: number;
  lastInput?: Json;
  lastOutput?: Json;
  port?: string | null;
  error?: NodeError | null;
  startedAt?: string | null;
  endedAt?: string | null;
  durationMs?: number | null;
}

export interface InstanceDetail extends InstanceSummary {
  /** When its payloads were erased on request. */
  erasedAt?: string | null;
  input: Json;
  output: Json;
  reply: Json;
  vars: Json;
  tokens: Token[];
  nodes: Record<string, NodeRun>;
  document: Json;
  undoPlan: { node: string; visit: number }[];
  seq: number;
}

/** Whether an instance can go on with another version. */
export interface Compatibility {
  fits: boolean;
  unfit: { node: string; code: string; message: string }[];
}

export const BULK_COMMANDS = ['retry', 'suspend', 'resume', 'compensate', 'cancel'] as const;
export type BulkCommand = (typeof BULK_COMMANDS)[number];

export interface BulkAsked {
  filter: { flow?: string; version?: number; state?: InstanceState; businessKey?: string; q?: string };
  command: BulkCommand;
  reason?: string;
  dryRun: boolean;
  cursor?: string;
}

export interface BulkDone {
  dryRun: boolean;
  matched: number;
  more: boolean;
  /** The database went away in the middle. */
  cutShort: boolean;
  /** Where the next run goes on. */
  next?: string;
  commanded: number;
  refused: string[];
  examples: string[];
}

/** A person's open task. */
export interface UserTask {
  id: string;
  instance: string;
  flow: string;
  businessKey?: string | null;
  node: string;
  attempt: number;
  title: Text;
  data: Json;
  form?: JsonSchema | null;
  assignee?: string | null;
  users: string[];
  groups: string[];
  since: string;
  dueAt?: string | null;
  until?: string | null;
}

/** Work for a worker outside. */
export interface ExternalTask {
  id: string;
  instance: string;
  flow: string;
  businessKey?: string | null;
  node: string;
  topic: string;
  attempt: number;
  input: Json;
  since: string;
  until?: string | null;
  worker?: string | null;
  lockedUntil?: string | null;
}

export interface ScheduleItem {
  id: string;
  flow: string;
  name: string;
  version: number;
  schedule: string;
  timezone: string;
  paused: boolean;
  next: string[];
}

export interface JournalEntry {
  seq: number;
  at: string;
  type: string;
  node?: string | null;
  visit?: number | null;
  attempt?: number | null;
  data?: Json;
}

export type EffectClass = 'pure' | 'recorded' | 'transactional' | 'external';

export interface NodeType {
  id: string;
  major: number;
  uses: string;
  plugin: string;
  digest: string;
  effect: EffectClass;
  title: Text;
  summary?: Text;
  category?: string;
  icon?: string;
  config?: JsonSchema;
  input?: JsonSchema;
  ports: { name: string; title?: Text; output?: JsonSchema }[];
  errors?: { code: string; title?: Text }[];
  undo: boolean;
  resume?: boolean;
  query?: boolean;
  examples?: { title?: Text; config?: Json; input?: Json; port?: string; output?: Json }[];
}

export interface Plugin {
  name: string;
  version: string;
  digest: string;
  effect: EffectClass;
  bytes: number;
  imports: string[];
  loadedAt: string;
  nodeTypes: NodeType[];
  usedBy: { flow: string; version: number }[];
  status: 'live' | 'superseded' | 'failed';
  /** The imports that raised its effect class, with the flag that drops each. */
  raisedBy: { import: string; remedy: string }[];
  sizes: { codeBytes: number; dataBytes: number; customBytes: number; memoryBytes: number } | null;
  rehearsed: { nodeType: string; example: number; tookUs: number }[];
  /** No call is made of it. */
  revoked: { reason: string; at: string; by: string } | null;
}

export const UPLOAD_STAGES = [
  'size',
  'imports',
  'compile',
  'describe',
  'schemas',
  'examples',
  'compatibility',
  'live',
] as const;
export type UploadStage = (typeof UPLOAD_STAGES)[number];

export interface Upload {
  id: string;
  at: string;
  by: string;
  state: 'running' | 'live' | 'tried' | 'refused' | 'lost';
  file?: string;
  dryRun?: boolean;
  stages: { stage: UploadStage; at: string }[];
  failedAt?: UploadStage;
  problems: Problem[];
  name?: string;
  version?: string;
  compatibility?: PluginChanges | null;
}

export interface PluginChange {
  code: string;
  of: string;
  pointer?: string;
  message: string;
  breaking: boolean;
}

/** What a build changes for the flows there are. */
export interface PluginChanges {
  replaces: { version: string; digest: string };
  report: {
    from: string;
    to: string;
    sameMajor: boolean;
    breaking: boolean;
    changes: PluginChange[];
    nodeTypes: {
      name: string;
      kind: 'added' | 'removed' | 'changed';
      breaking: boolean;
      changes: PluginChange[];
    }[];
  };
  checked: number;
  broken: { flow: string; version: number | null; problems: Problem[] }[];
  /** Not there in reports of older engines. */
  whole?: boolean;
}

export interface PluginUse {
  versions: { flow: string; version: number; live: number }[];
  drafts: string[];
}

export interface RolledForward {
  dryRun: boolean;
  to: { name: string; version: string; digest: string };
  flows: {
    flow: string;
    fromVersion: number;
    outcome: 'done' | 'ready' | 'would-break' | 'stays' | 'not-needed';
    version: number | null;
    problems: Problem[];
  }[];
}

/** What records of a type may say, in the version that is in force. */
export interface RecordTypeVersion {
  key: string;
  version: number;
  document: { title?: Text; statuses: { name: string; code: number; terminal?: boolean; title?: Text }[] };
  publishedAt: string;
  publishedBy: string;
}

/** A business entity. */
export interface RecordEntry {
  id: string;
  status: string;
  statusCode: number;
  revision: string;
  body: Json;
  updatedAt: string;
  readAt: string;
}

export interface AuditEntry {
  at: string;
  who: string;
  action: string;
  target: string;
  detail?: Json;
}

/** A version's number, or its label. */
export type VersionName = number | string;

export interface BindingRule {
  name: string;
  enabled?: boolean;
  keys?: string[];
  prefixes?: string[];
  when?: string;
  version: VersionName;
}

export interface BindingVariant {
  name: string;
  enabled?: boolean;
  version: VersionName;
  weight: number;
}

export interface BindingRules {
  rules?: BindingRule[];
  split?: { enabled?: boolean; salt?: string; variants: BindingVariant[] };
  default?: VersionName;
  fallback?: VersionName;
  off?: VersionName[];
}

export interface Binding {
  binding: BindingRules;
  revision: string;
  updatedAt: string;
  updatedBy: string;
}

/** What a start would get. */
export interface Foreseen {
  businessKey: string | null;
  version: number | null;
  label?: string | null;
  by: string | null;
  insteadOf?: { by: string; version: number | null };
  byChance: boolean;
  skipped: { rule: string; message: string }[];
}

export interface Fared {
  started: number;
  live: number;
  incidents: number;
  completed: number;
  failed: number;
  compensated: number;
  cancelled: number;
}

export interface Figures {
  items: (Fared & { by: string; version: number })[];
  versions: (Fared & { version: number; label?: string | null })[];
}

export interface RouteRule {
  name: string;
  enabled?: boolean;
  when?: string;
  flow: string;
  version?: VersionName;
}

export interface RouteRules {
  auth?: 'token' | 'none';
  wait?: string;
  rules: RouteRule[];
}

export interface RouteEntry {
  path: string;
  route: RouteRules;
  revision: string;
  updatedAt: string;
  updatedBy: string;
}

export interface RulesSaved {
  revision: string;
  updatedAt: string;
  problems: Problem[];
}

export interface Status {
  version: string;
  engine: string;
  startedAt: string;
  store: string;
  schema: number | string;
  counts: Counts;
}

export const ROLES = ['viewer', 'operator', 'designer', 'admin'] as const;
/** Each may do what those before it may. */
export type Role = (typeof ROLES)[number];
/** `*` is every namespace. */
export interface RoleGiven {
  namespace: string;
  role: Role;
}

export interface Session {
  user: string;
  /** `engine`: the engine's own token. */
  kind: 'user' | 'token' | 'engine';
  roles: RoleGiven[];
  /** A password of one's own must be chosen before anything else. */
  mustChange: boolean;
}

export interface User {
  name: string;
  disabled: boolean;
  mustChange: boolean;
  roles: RoleGiven[];
  createdAt: string;
  createdBy: string;
  seenAt?: string | null;
}

export interface ApiToken {
  id: string;
  name: string;
  owner: string | null;
  roles: RoleGiven[];
  createdAt: string;
  expiresAt: string | null;
  usedAt: string | null;
}

export interface Page<T> {
  items: T[];
  next?: string | null;
}

export interface StartResult {
  id: string;
  state: InstanceState;
  output?: Json;
}

export interface ProblemBody {
  type?: string;
  title?: string;
  status: number;
  detail?: string;
  code?: string;
  problems?: Problem[];
  [extra: string]: unknown;
}

export type FeedEvent =
  | {
      name: 'instance';
      data: {
        id: string;
        flow: string;
        version: number;
        state: InstanceState;
        seq: number;
        businessKey?: string | null;
        nodes?: { node: string; state: NodeRunState }[];
      };
    }
  | {
      name: 'flow';
      data: {
        key: string;
        kind: 'draft' | 'published' | 'plugged' | 'retired' | 'binding' | 'forgotten' | 'erased';
        version?: number;
      };
    }
  | { name: 'plugin'; data: { name: string; version: string; digest: string; status: string } }
  | { name: 'upload'; data: { id: string; state: Upload['state']; stage: UploadStage } }
  | { name: 'route'; data: { path: string } }
  | { name: 'reset'; data: unknown };
