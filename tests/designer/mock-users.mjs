// Users, tokens and sessions of the stand-in engine: enough for the console's pages, and no protection at all.
import { refuse } from './mock.mjs';

const at = (days) => new Date(Date.now() - days * 86_400_000).toISOString();
const role = (namespace, name) => ({ namespace, role: name });

export class People {
  session = { user: 'admin', kind: 'user', roles: [role('*', 'admin')], mustChange: false };
  administered = true;
  users = [
    {
      name: 'admin',
      disabled: false,
      mustChange: false,
      roles: [role('*', 'admin')],
      createdAt: at(90),
      createdBy: 'admin',
      seenAt: at(0),
    },
    {
      name: 'lin.mei',
      disabled: false,
      mustChange: false,
      roles: [role('pay', 'designer'), role('*', 'viewer')],
      createdAt: at(40),
      createdBy: 'admin',
      seenAt: at(0.1),
    },
    {
      name: 'night-shift',
      disabled: false,
      mustChange: true,
      roles: [role('pay', 'operator'), role('default', 'operator')],
      createdAt: at(2),
      createdBy: 'admin',
    },
    {
      name: 'former',
      disabled: true,
      mustChange: false,
      roles: [role('default', 'viewer')],
      createdAt: at(200),
      createdBy: 'admin',
    },
  ];
  tokens = [
    {
      id: 't1',
      name: 'shop-backend',
      owner: 'admin',
      roles: [role('default', 'operator')],
      createdAt: at(60),
      expiresAt: at(-30),
      usedAt: at(0.01),
    },
    {
      id: 't2',
      name: 'release-pipeline',
      owner: 'lin.mei',
      roles: [role('pay', 'designer')],
      createdAt: at(10),
      expiresAt: null,
      usedAt: null,
    },
  ];

  user(name) {
    const found = this.users.find((one) => one.name === name);
    if (!found) throw refuse(404, 'USER_NOT_FOUND', 'No such user');
    return found;
  }

  /** The answer to what nobody need be signed in for; undefined: it is something else. */
  open(route, asked) {
    if (route === 'GET /setup') return { administered: this.administered };
    if (route === 'POST /setup') {
      this.administered = true;
      this.session = { ...this.session, user: asked.name };
      return this.session;
    }
    if (route !== 'POST /session') return undefined;
    if (asked.token === 'demo' || asked.password === 'demo') return this.session;
    throw refuse(401, 'LOGIN_FAILED', 'Name and password do not fit');
  }

  answer(method, [kind, name, what], asked) {
    if (kind === 'tokens') return this.answerTokens(method, name, asked);
    if (method === 'GET') return { items: this.users };
    if (method === 'POST' && !name) {
      if (this.users.some((one) => one.name === asked.name))
        throw refuse(409, 'USER_EXISTS', 'There is a user of this name');
      this.users.push({
        name: asked.name,
        disabled: false,
        mustChange: true,
        roles: asked.roles,
        createdAt: at(0),
        createdBy: 'admin',
      });
      return this.user(asked.name);
    }
    const user = this.user(name);
    if (what === 'roles') user.roles = asked.roles;
    else if (what === 'password') user.mustChange = true;
    else if (what === 'disable' || what === 'enable') {
      if (name === 'admin') throw refuse(409, 'LAST_ADMIN', 'Nobody would administer this engine');
      user.disabled = what === 'disable';
    } else if (method === 'DELETE') this.users = this.users.filter((one) => one !== user);
    return user;
  }

  answerTokens(method, id, asked) {
    if (method === 'GET') return { items: this.tokens };
    if (method === 'DELETE') {
      this.tokens = this.tokens.filter((one) => one.id !== id);
      return {};
    }
    const token = {
      id: `t${Date.now()}`,
      name: asked.name,
      owner: 'admin',
      roles: asked.roles,
      createdAt: at(0),
      expiresAt: asked.expiresIn ? at(-90) : null,
      usedAt: null,
    };
    this.tokens.push(token);
    return { ...token, token: 'stw_demo-of-a-token-that-is-shown-once' };
  }
}
