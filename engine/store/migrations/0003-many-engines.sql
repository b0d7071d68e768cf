-- Many engines on one database.

-- Who drives an instance: 0 nobody, otherwise an engine's number.
alter table instance rename column owned to owner;

-- Engines that were ever here. A number is used again once its engine is gone, so they stay few.
create table engine (
    -- Part of every number its writer gives out.
    number integer primary key check (number between 1 and 255),
    -- Kept by the engine beside its cache; it comes back under the same number.
    name text not null unique,
    -- Raised by every start and by whoever takes the engine for dead: a write under an older one is refused.
    epoch integer not null check (epoch > 0),
    -- What its writer had given out when it began its last commit.
    counter integer not null,
    -- When it was last heard of, by the database's clock. Null: it has left, or was taken for dead, and drives nothing.
    seen_ms integer
) strict;

-- Where a message and those who wait for it meet: both hold the row of their (message, key) until their commit, so that
-- one of them sees the other. It says nothing by itself and may be forgotten at any time.
create table meeting (
    message text not null,
    key text not null,
    touched_ms integer not null,
    primary key (message, key)
) strict, without rowid;

-- "What can be forgotten".
create index meeting_by_touch on meeting (touched_ms);

-- Counts, one row per engine, so that two never wait for each other to count. One engine's may be below zero: what
-- began with it may have ended with another.
create table tally_by_engine (
    flow text not null,
    version integer not null,
    state integer not null check (state between 0 and 8),
    engine integer not null,
    instances integer not null,
    primary key (flow, version, state, engine)
) strict, without rowid;

insert into tally_by_engine (flow, version, state, engine, instances)
select flow, version, state, 1, instances from tally;

drop table tally;

alter table tally_by_engine rename to tally;
