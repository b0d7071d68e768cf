-- What a start runs, how far its business key is its own, and what is no longer needed.

-- Which version a start of a flow runs.
create table binding (
    flow text primary key references flow (key),
    -- As the API takes it.
    spec text not null check (json_valid(spec)),
    revision integer not null check (revision > 0),
    updated_ms integer not null,
    updated_by text not null
) strict, without rowid;

-- Which flow a path below /t/ starts, beside the paths that flows name themselves.
create table route (
    path text primary key,
    spec text not null check (json_valid(spec)),
    revision integer not null check (revision > 0),
    updated_ms integer not null,
    updated_by text not null
) strict, without rowid;

-- Taken back then: nothing is started on it any more. Its row stays while instances are kept that ran on it.
alter table version add column retired_ms integer;

-- What chose its version, where a binding or a route did.
alter table instance add column bound_by text;

-- How far its business key is its own: 0 not at all, 1 until it has ended, 2 for good.
alter table instance add column unique_key integer not null default 0 check (unique_key between 0 and 2);

-- "Does a live instance have this key": of two that say they are the only one, one is refused.
create unique index instance_one_live on instance (flow, business_key) where unique_key >= 1 and state <= 4;
-- "Did any instance have this key": likewise.
create unique index instance_one_ever on instance (flow, business_key) where unique_key = 2;

-- Counts as in tally, of what a binding or a route chose, by what chose it.
create table tally_by_choice (
    flow text not null,
    version integer not null,
    bound_by text not null,
    state integer not null check (state between 0 and 8),
    engine integer not null,
    instances integer not null,
    primary key (flow, version, bound_by, state, engine)
) strict, without rowid;
