-- Machines: how the actions of their versions change after they were published, and where live instances stand.

-- Only ever appended to: what was plugged in, and what was taken out (no document). The document's own actions are
-- revision 0.
create table machine_action (
    flow text not null,
    version integer not null,
    revision integer not null check (revision > 0),
    action text not null,
    document text check (document is null or json_valid(document)),
    -- What it is pinned to, as far as the version itself is not.
    catalog text not null check (json_valid(catalog)),
    at_ms integer not null,
    who text not null,
    primary key (flow, version, revision)
) strict, without rowid;

-- The state that a live instance is in, and since when.
create table machine_standing (
    instance integer primary key,
    flow text not null,
    state text not null,
    since_ms integer not null
) strict;

-- "Who has been in this state for longer than that", and how many there are of each.
create index machine_standing_by_state on machine_standing (flow, state, since_ms);
