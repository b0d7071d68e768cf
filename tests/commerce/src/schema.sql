-- The stand-in shop's whole memory. Times are milliseconds since the Unix epoch, UTC; money is integer cents.

-- One row: the run's tag makes provider event ids unique across data files and wipes.
create table if not exists run (
  id  integer primary key check (id = 1),
  tag text not null
) strict;

-- Every request that reached a shop path, in order of arrival.
create table if not exists request (
  id          integer primary key autoincrement,
  arrived_ms  integer not null,
  method      text not null,
  path        text not null,
  query       text,
  key         text,
  order_key   text,
  forward_key text,
  traceparent text,
  body        text not null,
  outcome     text not null check (outcome in ('pending', 'answered', 'failed', 'lost')),
  status      integer,
  code        text,
  replayed    integer not null default 0 check (replayed in (0, 1)),
  check ((outcome = 'pending') = (status is null))
) strict;
-- How often a key arrived; requests by key.
create index if not exists request_by_key on request (key) where key is not null;
-- Requests by order.
create index if not exists request_by_order on request (order_key) where order_key is not null;

-- The answer kept per idempotency key; written in the transaction that did the work.
create table if not exists answer (
  key    text primary key,
  method text not null,
  path   text not null,
  sha256 blob not null,
  status integer not null,
  body   text not null
) strict;

-- One row per thing really done in the world.
create table if not exists effect (
  id          integer primary key autoincrement,
  kind        text not null,
  key         text,
  forward_key text,
  order_key   text,
  detail      text not null,
  done_ms     integer not null,
  undone_ms   integer,
  undo_key    text
) strict;
-- The effects that an undo or a payment query names by key.
create index if not exists effect_by_key on effect (key) where key is not null;
-- The effects that an undo names by the key of what it undoes.
create index if not exists effect_by_forward_key on effect (forward_key) where forward_key is not null;
-- Effects by order; the latest payment of an order.
create index if not exists effect_by_order on effect (order_key) where order_key is not null;

-- An undo was asked for: no forward under this key may take place any more. `ran` is whether one had.
create table if not exists tombstone (
  id          integer primary key autoincrement,
  kind        text not null,
  forward_key text not null,
  order_key   text,
  undo_key    text,
  made_ms     integer not null,
  ran         integer not null check (ran in (0, 1)),
  unique (kind, forward_key)
) strict;

-- Pieces left, only for SKUs that were touched; all others have the configured number.
create table if not exists stock (
  sku       text primary key,
  available integer not null check (available >= 0)
) strict, without rowid;

-- How often a parcel was looked at; its state advances with each look.
create table if not exists parcel (
  effect integer primary key references effect (id),
  polls  integer not null
) strict;

create table if not exists payment (
  effect        integer primary key references effect (id),
  order_key     text not null,
  amount_cents  integer not null,
  status        text not null check (status in ('PAYING', 'PAID', 'FAILED', 'CANCELLED', 'REFUNDED')),
  callback_url  text,
  settle_due_ms integer,
  settle_as     text check (settle_as in ('PAID', 'FAILED')),
  check ((settle_due_ms is null) = (settle_as is null)),
  check (settle_due_ms is null or status = 'PAYING')
) strict;
-- The latest payment of an order.
create index if not exists payment_by_order on payment (order_key, effect);
-- Payments that settle by themselves, soonest first.
create index if not exists payment_due on payment (settle_due_ms) where settle_due_ms is not null;

-- What was paid in, per property account.
create table if not exists account (
  id            text primary key,
  balance_cents integer not null
) strict, without rowid;

-- Callbacks on their way; a claimed one is due again when its claim runs out, so none is lost with the process.
create table if not exists callback (
  id          integer primary key autoincrement,
  event_id    text not null,
  order_key   text not null,
  url         text,
  body        text not null,
  state       text not null check (state in ('pending', 'delivered', 'given_up')),
  due_ms      integer not null,
  attempts    integer not null default 0,
  last_status integer,
  last_error  text,
  made_ms     integer not null,
  ended_ms    integer,
  check ((state = 'pending') = (ended_ms is null))
) strict;
-- The next callbacks to send.
create index if not exists callback_due on callback (due_ms) where state = 'pending';
-- Callbacks by order.
create index if not exists callback_by_order on callback (order_key);
