-- Business entities with a status and a revision, changed by the commits of instances; and the key of workers' tasks.

-- What a record may say, by version; the newest is in force.
create table record_type (
    key text not null,
    version integer not null check (version > 0),
    document text not null check (json_valid(document)),
    -- Of what the document means, hex sha256: the same again is no new version.
    hash text not null,
    published_ms integer not null,
    published_by text not null,
    primary key (key, version)
) strict;

create table record (
    -- The key of the record type.
    type text not null,
    -- The caller's key of the entity, such as an order number.
    id text not null,
    status text not null,
    -- By which intervals of statuses compare, as of the write.
    status_code integer not null,
    -- Counts writes.
    revision integer not null check (revision > 0),
    body text not null check (json_valid(body)),
    updated_ms integer not null,
    primary key (type, id)
) strict;

-- "Which records have a status from … to", by id.
create index record_by_status on record (type, status_code, id);

-- Which plugin may read and write records of which type; the type need not be there yet.
create table record_grant (
    plugin text not null,
    type text not null,
    granted_ms integer not null,
    granted_by text not null,
    primary key (plugin, type)
) strict, without rowid;

-- The idempotency key of the visit, for the worker to send on; null: a person's, or put out by an engine before this.
alter table task add column key text;
