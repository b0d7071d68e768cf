-- Business entities with a status and a revision, changed by the commits of instances alone.

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
