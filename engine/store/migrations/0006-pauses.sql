-- What no call is made of, at any engine, until it is resumed. Whose calls are held stands in `subscription`, under a
-- message without a name.

create table pause (
    kind text not null check (kind in ('node-type', 'connection')),
    -- plugin/type, or a connection's name.
    name text not null,
    reason text not null,
    paused_ms integer not null,
    paused_by text not null,
    -- How often one call is let through to see; null: only when asked.
    probe_ms integer check (probe_ms > 0),
    -- A call that was let through and went well ends the pause.
    resume integer not null check (resume in (0, 1)),
    -- When a call was let through last.
    probed_ms integer,
    -- What came of it.
    probe text check (probe is null or json_valid(probe)),
    primary key (kind, name)
) strict, without rowid;
