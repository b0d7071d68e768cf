// Runs once, before any script. Takes away what would make a second run of a script differ from the first.
(() => {
  'use strict';
  const refuse = (what, hint) => {
    throw new Error(`${what} is not available in a script, because running it again must give the same result; ${hint}`);
  };
  const clock = (what) => refuse(what, 'hint: pass the time in with the input');
  const RealDate = Date;
  RealDate.now = () => clock('Date.now()');
  const PureDate = new Proxy(RealDate, {
    apply: () => clock('Date()'),
    construct: (target, values, made) =>
      values.length === 0
        ? clock('new Date()')
        : Reflect.construct(target, values, made === PureDate ? target : made),
  });
  RealDate.prototype.constructor = PureDate;
  globalThis.Date = PureDate;
  Math.random = () => refuse('Math.random()', 'hint: pass a number in with the input');

  /** Ends the node with a business error, which a flow can branch on. */
  class Rejected extends Error {
    constructor(code, message, data) {
      super(message);
      this.name = 'Rejected';
      this.code = code;
      this.data = data;
    }
  }
  globalThis.reject = (code, message = '', data = undefined) => {
    throw new Rejected(String(code), String(message), data);
  };
})();
