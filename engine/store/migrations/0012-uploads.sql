-- How plugins come in and are taken back.

-- Builds of which no call is made, at any engine. One stays when the build is removed: the same bytes are not taken in
-- again.
create table revocation (
    digest text primary key,
    name text not null,
    version text not null,
    reason text not null,
    revoked_ms integer not null,
    revoked_by text not null
) strict, without rowid;

-- The last components that were brought, and what came of them.
create table upload (
    id text primary key,
    at_ms integer not null,
    who text not null,
    state text not null check (state in ('running', 'live', 'tried', 'refused')),
    -- Stages, problems, what it is, what it changes.
    body text not null check (json_valid(body))
) strict, without rowid;

-- "The newest", and what is older than those that are kept.
create index upload_by_time on upload (at_ms);
