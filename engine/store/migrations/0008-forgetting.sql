-- What is not kept for good: ended instances after their time, payloads that somebody erased, messages for nobody.

-- When an ended instance may go, journal and all; null: it is kept.
alter table instance add column forget_ms integer check (forget_ms is null or state > 4);

-- "What may go now".
create index instance_by_forget on instance (forget_ms) where forget_ms is not null;

-- Its journal, reply and output were taken away then.
alter table instance add column erased_ms integer check (erased_ms is null or state > 4);

-- "Whose key is still promised", before an instance goes.
create index idempotency_by_instance on idempotency (instance);

-- Up to which of each engine's places rows of the feed are gone: no place is given out twice, and a reader that was not
-- told so far reads anew.
create table passed (
    -- 0 in a file.
    engine integer primary key,
    n integer not null
) strict;

-- Versions that kept journals went through before the one their instance is on: they are needed to read those.
create table ran_before (
    flow text not null,
    version integer not null,
    instance integer not null,
    primary key (flow, version, instance)
) strict, without rowid;

-- "What did this instance run on before".
create index ran_before_by_instance on ran_before (instance);

-- A message for those alone who waited when it came: gone with the last of them.
alter table inbox add column transient integer not null default 0 check (transient in (0, 1));
