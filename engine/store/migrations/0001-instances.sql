-- Flows, versions and instances. Times are milliseconds since the Unix epoch, UTC.
--
-- Numbers named `n` that stand in `journal`, `notice` and `inbox` come from one counter of the writer: they say
-- in which order things were committed, they may have gaps, and none is ever used twice.

-- What a flow is called, whether or not it was published yet.
create table flow (
    key text primary key,
    kind text not null,
    title text not null check (json_valid(title)),
    updated_ms integer not null
) strict, without rowid;

-- The one mutable form of a flow.
create table draft (
    flow text primary key references flow (key),
    document text not null check (json_valid(document)),
    revision integer not null check (revision > 0),
    -- The version it was made from or last published as.
    base_version integer,
    -- The checked document's hash; null while it holds errors.
    hash text,
    updated_ms integer not null,
    updated_by text not null
) strict;

-- Immutable, published forms.
create table version (
    flow text not null references flow (key),
    version integer not null check (version > 0),
    hash text not null,
    label text,
    published_ms integer not null,
    published_by text not null,
    document text not null check (json_valid(document)),
    -- The node types it is pinned to, digests and all.
    catalog text not null check (json_valid(catalog)),
    primary key (flow, version)
) strict;

create table instance (
    n integer primary key,
    -- A UUIDv7.
    id blob not null unique check (length(id) = 16),
    flow text not null,
    version integer not null,
    business_key text,
    priority integer not null,
    -- 0 running, 1 waiting, 2 incident, 3 suspended, 4 compensating; ended: 5 completed, 6 failed, 7 compensated,
    -- 8 cancelled.
    state integer not null check (state between 0 and 8),
    -- The last journal entry's number.
    seq integer not null check (seq >= 0),
    -- Raised by every taking; a write under an older one is refused.
    epoch integer not null check (epoch > 0),
    -- Somebody drives it.
    owned integer not null check (owned in (0, 1)),
    -- When it needs an owner. Of an owned instance, and of one that waits for messages or people alone: null.
    wake_ms integer,
    started_ms integer not null,
    updated_ms integer not null,
    error text check (error is null or json_valid(error)),
    reply text check (reply is null or json_valid(reply)),
    -- '=' stands for "as the reply", so that a flow that ends as it replied keeps the value once.
    output text check (output is null or output = '=' or json_valid(output)),
    traceparent text,
    foreign key (flow, version) references version (flow, version),
    check (owned = 0 or wake_ms is null),
    check (state <= 4 or (owned = 0 and wake_ms is null))
) strict;

-- "Lists of one flow's instances, newest first": version stands in the index so that filtering reads no rows.
create index instance_by_flow on instance (flow, n, version);
-- "Instances in this state, newest first", "of this flow too". Completed ones are most of the table: walking it finds them.
create index instance_by_state on instance (state, n, flow, version) where state <> 5;
-- "The instance of this order", and search by a part of a business key.
create index instance_by_business_key on instance (business_key) where business_key is not null;
-- "Who needs an owner now", "when will somebody", and at start "who was owned by the process before".
create index instance_by_wake on instance (owned, wake_ms, priority) where state <= 4;

-- How many instances of each version are in each state; kept by the writer, so that counts cost nothing to read.
create table tally (
    flow text not null,
    version integer not null,
    state integer not null check (state between 0 and 8),
    instances integer not null check (instances >= 0),
    primary key (flow, version, state)
) strict, without rowid;

-- What a live instance is, as of its last entry. An ended one has its journal alone.
create table snapshot (
    instance integer primary key references instance (n),
    body text not null
) strict;

-- One row per commit of an instance; `n` is its place in the feed of everything.
create table journal (
    n integer primary key,
    instance integer not null references instance (n),
    first_seq integer not null check (first_seq > 0),
    last_seq integer not null check (last_seq >= first_seq),
    at_ms integer not null,
    -- The instance's state after it.
    state integer not null check (state between 0 and 8),
    -- A JSON array of entries, numbered without gaps.
    entries text not null
) strict;

-- "An instance's journal in order", "the entry with this number".
create index journal_by_instance on journal (instance, first_seq);

-- Who asked for what: callers get the first instance's answer again.
create table idempotency (
    flow text not null,
    key text not null,
    -- The sha256 of what was asked.
    request text not null,
    instance integer not null references instance (n),
    expires_ms integer not null,
    primary key (flow, key)
) strict, without rowid;

-- "What can be forgotten".
create index idempotency_by_expiry on idempotency (expires_ms);

-- What live instances wait for.
create table subscription (
    message text not null,
    key text not null,
    instance integer not null references instance (n),
    primary key (message, key, instance)
) strict, without rowid;

-- "Does this instance wait for the same as before".
create index subscription_by_instance on subscription (instance);

-- What came from outside and was not taken yet: commands for one instance, messages for whoever waits.
create table inbox (
    n integer primary key,
    instance integer references instance (n),
    message text,
    key text,
    id text,
    -- A command, or a message's payload.
    body text not null check (json_valid(body)),
    sent_by text not null,
    at_ms integer not null,
    expires_ms integer,
    -- A command names its instance; a message its name, key, id and end.
    check ((instance is null) = (message is not null)),
    check ((message is null) = (key is null and id is null and expires_ms is null)),
    check (message is null or (key is not null and id is not null and expires_ms is not null))
) strict;

-- "What waits for this instance".
create index inbox_by_instance on inbox (instance) where instance is not null;
-- "What waits for a taker of this message".
create index inbox_by_message on inbox (message, key) where message is not null;
-- "What nobody took in time".
create index inbox_by_expiry on inbox (expires_ms) where expires_ms is not null;

-- Messages that were posted: the same (message, id) is taken once.
create table seen (
    message text not null,
    id text not null,
    expires_ms integer not null,
    primary key (message, id)
) strict, without rowid;

-- "What can be forgotten".
create index seen_by_expiry on seen (expires_ms);
