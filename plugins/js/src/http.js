// The module `stepwell/http`: requests to granted connections. Importing it makes the plugin external.
import { permanent, rejected, transient, unknown } from 'stepwell';

class Response {
  constructor({ status, headers, body }) {
    this.status = status;
    this.headers = headers;
    this.text = body;
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  json() {
    return JSON.parse(this.text);
  }

  /** The JSON body of a 2xx answer; else throws what the answer means. */
  accepted() {
    if (this.ok) {
      try {
        return this.text === '' ? null : this.json();
      } catch {
        throw unknown('the answer to a request that was accepted does not read');
      }
    }
    const said = `the other side answered ${this.status}`;
    if ([408, 425, 429].includes(this.status) || this.status >= 500) {
      const seconds = Number(this.headers['retry-after']);
      throw transient(said, Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, 86_400_000) : null);
    }
    if ([401, 403, 407].includes(this.status)) throw permanent(`${said}: is the connection's secret right?`);
    let refusal;
    try {
      refusal = this.json();
    } catch {
      refusal = {};
    }
    const code = /^[A-Z0-9_]{1,64}$/.test(refusal?.code ?? '') ? refusal.code : `HTTP_${this.status}`;
    throw rejected(code, refusal?.message ?? said);
  }
}

/** Sends a request and waits for the whole answer. The host adds the idempotency key. */
export function request({ method = 'GET', connection, path, headers = {}, json, body }) {
  const sent = { method, connection, path, headers: { ...headers } };
  if (json !== undefined) {
    sent.headers['content-type'] ??= 'application/json';
    sent.body = JSON.stringify(json);
  } else if (body !== undefined) {
    sent.body = String(body);
  }
  const answer = JSON.parse(globalThis.__stepwellSend(JSON.stringify(sent)));
  if (answer.response !== undefined) return new Response(answer.response);
  if (answer.transient !== undefined) throw transient(answer.transient.message, answer.transient.retryAfterMs);
  if (answer.unknown !== undefined) throw unknown(answer.unknown);
  throw permanent(answer.permanent);
}
