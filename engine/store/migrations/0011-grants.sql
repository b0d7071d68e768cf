-- What a build of a plugin may reach, for flows of a namespace; and the secrets of connections, sealed.

alter table plugin_grant rename to plugin_grant_of_all;

create table plugin_grant (
    -- Builds: `name`, `name@1`, `name@1.2`, `name@1.2.0`, or a digest.
    plugin text not null,
    -- Of the flows that call; `*`: all of them.
    namespace text not null,
    -- One row for each connection and each type of records, and one for what a call may take.
    kind text not null check (kind in ('connection', 'records', 'limits')),
    -- Of the connection or the type; empty for limits.
    name text not null check ((name = '') = (kind = 'limits')),
    -- What is narrowed, or how much.
    spec text not null check (json_valid(spec)),
    granted_ms integer not null,
    granted_by text not null,
    primary key (plugin, namespace, kind, name)
) strict, without rowid;

insert into plugin_grant (plugin, namespace, kind, name, spec, granted_ms, granted_by)
select plugin, '*', 'connection', connection, '{}', granted_ms, granted_by from plugin_grant_of_all;

drop table plugin_grant_of_all;

insert into plugin_grant (plugin, namespace, kind, name, spec, granted_ms, granted_by)
select plugin, '*', 'records', type, '{}', granted_ms, granted_by from record_grant;

drop table record_grant;

-- "Who may use this connection", before it goes.
create index plugin_grant_by_name on plugin_grant (kind, name);

-- What the host puts into requests and nobody is shown. Connections name the ones they use.
create table secret (
    name text primary key,
    -- Counts the values it has had.
    version integer not null check (version > 0),
    -- By which key it is sealed: not the key, but its name.
    key_id text not null,
    -- The value, encrypted; base64.
    sealed text not null,
    changed_ms integer not null,
    changed_by text not null
) strict, without rowid;
