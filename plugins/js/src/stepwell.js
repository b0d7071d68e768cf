// The module `stepwell`: what programs import. `stepwell.d.ts` in the template has the types.

/** Ends a call in a failure. */
export class Failure extends Error {
  constructor(answer, message) {
    super(message);
    this.name = 'Failure';
    this.answer = answer;
  }
}

/** A "no" of the business: never retried. Throw it. */
export const rejected = (code, message = '', data = null) =>
  new Failure({ rejected: { code: String(code), message: String(message), data } }, message);
/** Trying again may help, after `retryAfterMs` where the other side said so. Throw it. */
export const transient = (message, retryAfterMs = null) => new Failure({ transient: { message: String(message), retryAfterMs } }, message);
/** Trying again cannot help. Throw it. */
export const permanent = (message) => new Failure({ permanent: String(message) }, message);
/** It may have happened. Throw it. */
export const unknown = (message) => new Failure({ unknown: String(message) }, message);

/** What is not plainly an output. */
export class Answer {
  constructor(answer) {
    this.answer = answer;
  }
}

/** Leaves by a port. A plain value leaves by `out`. */
export const leave = (port, output = null) => new Answer({ done: { port, output } });
/** Parks the visit until the message with this key comes; then `resume` gets `memo`. */
export const wait = ({ message, key, timeoutMs = null, memo = null }) =>
  new Answer({ wait: { message, key, timeoutMs, memo } });

/** The answer of `query` where the call never ran. */
export const neverRan = new Answer('neverRan');

/** Says what the plugin is; export it as the default. */
export const plugin = (definition) => definition;
