-- Who may do what: people, tokens of programs, and sessions of browsers. No secret stands here, only what one is
-- compared with.

-- Users.
create table account (
    name text primary key,
    -- Argon2id, as it writes itself.
    password text not null,
    -- They can neither log in nor do anything with what they had.
    disabled integer not null check (disabled in (0, 1)),
    -- Somebody else chose the password: they choose their own before they do anything else.
    must_change integer not null check (must_change in (0, 1)),
    created_ms integer not null,
    created_by text not null
) strict, without rowid;

-- What programs show to be let in.
create table api_token (
    id text primary key,
    name text not null,
    -- The sha256 of the token, in hexadecimal digits.
    digest text not null unique,
    -- It reaches no further than they do; null: made with the engine's own token, and as far as that.
    owner text references account (name),
    created_ms integer not null,
    expires_ms integer,
    -- When it was used last, some minutes more or less.
    used_ms integer
) strict, without rowid;

-- "The tokens of this user", to take them away together.
create index api_token_by_owner on api_token (owner);

-- Who has which role where; of each namespace one.
create table role_given (
    kind text not null check (kind in ('user', 'token')),
    -- A user's name, or a token's id.
    holder text not null,
    -- `*`: in every one, and over what belongs to none.
    namespace text not null,
    role text not null check (role in ('viewer', 'operator', 'designer', 'admin')),
    primary key (kind, holder, namespace)
) strict, without rowid;

-- Browsers that are logged in.
create table session (
    -- The sha256 of what the browser shows, in hexadecimal digits.
    digest text primary key,
    -- Null: bought with the engine's own token.
    account text references account (name),
    created_ms integer not null,
    -- When it was used last, some minutes more or less.
    seen_ms integer not null,
    ends_ms integer not null
) strict, without rowid;

-- "The sessions of this user", to end them together.
create index session_by_account on session (account);

-- "Those that are over".
create index session_by_end on session (ends_ms);
