-- What people and plugins bring, and the record of who did it.

-- HTTP paths that start flows: those of each flow's newest version.
create table http_trigger (
    -- Below /t/, without a leading slash.
    path text primary key,
    flow text not null references flow (key),
    -- As the document has it.
    spec text not null check (json_valid(spec))
) strict, without rowid;

-- "The triggers of this flow", to replace them.
create index http_trigger_by_flow on http_trigger (flow);

-- Component packages. Bytes never change: another build has another digest.
create table plugin (
    digest text primary key,
    name text not null,
    version text not null,
    -- 0 live, 1 superseded, 2 failed
    status integer not null check (status between 0 and 2),
    effect text not null,
    loaded_ms integer not null,
    loaded_by text not null,
    bytes integer not null,
    -- What the loader found out: node types, imports, problems.
    manifest text not null check (json_valid(manifest)),
    -- Last, so that lists do not read past it.
    wasm blob not null
) strict;

-- "The builds of this package", "of this version".
create index plugin_by_name on plugin (name, version);

-- Named targets with their secrets.
create table connection (
    name text primary key,
    spec text not null check (json_valid(spec)),
    updated_ms integer not null,
    updated_by text not null
) strict, without rowid;

-- Which plugin may use which connection.
create table plugin_grant (
    plugin text not null,
    connection text not null references connection (name),
    granted_ms integer not null,
    granted_by text not null,
    primary key (plugin, connection)
) strict, without rowid;

-- Small things the engine remembers about itself.
create table setting (
    name text primary key,
    value text not null check (json_valid(value))
) strict, without rowid;

-- Contents of watched files that were published once, so that they never are again.
create table published_file (
    flow text not null,
    -- The sha256 of the file's bytes.
    content text not null,
    at_ms integer not null,
    primary key (flow, content)
) strict, without rowid;

-- Every command, in the transaction of what it did.
create table audit (
    n integer primary key,
    at_ms integer not null,
    who text not null,
    action text not null,
    target text not null,
    detail text not null check (json_valid(detail))
) strict;

-- "What was done to this".
create index audit_by_target on audit (target, n);

-- What the event feed says besides instances: flows and plugins that changed.
create table notice (
    n integer primary key,
    at_ms integer not null,
    body text not null check (json_valid(body))
) strict;
