PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE migration (number integer primary key, name text not null, sha256 text not null) strict;
INSERT INTO migration VALUES(1,'0001-instances','1e0f5c951e5f7a6c2e05e26df675d36d22bbfac70007f4a6e5ceea8cc4835134');
INSERT INTO migration VALUES(2,'0002-administration','57f192f929103fe600d81a768f6619c51229b21eaaaa56062e78e3e91c3bbabc');
INSERT INTO migration VALUES(3,'0003-many-engines','97a53dcd1c4e551bfc2d92d4de278549d2dd774536b97ce981da738b78a4006a');
CREATE TABLE flow (
    key text primary key,
    kind text not null,
    title text not null check (json_valid(title)),
    updated_ms integer not null
) strict, without rowid;
INSERT INTO flow VALUES('waits','graph','"waits"',1795195920173);
CREATE TABLE draft (
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
CREATE TABLE version (
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
INSERT INTO version VALUES('waits',1,'4172c79b1bd039ab3eadf9fee7fdb91a839e6eff557193ff56caeba971984ea5',NULL,1795195920173,'admin','{"edges":[{"from":"start","to":"until"},{"from":"until","to":"wait"},{"from":"wait","to":"end"}],"key":"waits","kind":"graph","nodes":{"end":{"output":{"word":"=nodes.wait.word"},"type":"end"},"start":{"type":"start"},"until":{"type":"timer","until":"=input.at"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}','{"nodeTypes":{}}');
CREATE TABLE instance (
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
    owner integer not null check (owner in (0, 1)),
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
    check (owner = 0 or wake_ms is null),
    check (state <= 4 or (owner = 0 and wake_ms is null))
) strict;
INSERT INTO instance VALUES(3,X'01a1fa03df42727099cc2178826b2806','waits',1,'ended',0,5,3,2,0,NULL,1795195920194,1795195920546,NULL,NULL,'{"word":"on"}',NULL);
INSERT INTO instance VALUES(7,X'01a1fa03df8b755cb3e4178c4db7c576','waits',1,'waiting',0,1,2,1,0,NULL,1795195920267,1795195920269,NULL,NULL,NULL,NULL);
INSERT INTO instance VALUES(11,X'01a1fa03dff4705582078b6f75ad06e2','waits',1,'sleeping',0,1,1,1,0,4000000000000,1795195920372,1795195920372,NULL,NULL,NULL,NULL);
CREATE TABLE snapshot (
    instance integer primary key references instance (n),
    body text not null
) strict;
INSERT INTO snapshot VALUES(7,'{"form":1,"nodes":{"3":"wait"},"instance":{"version":1,"business_key":"waiting","priority":0,"seq":2,"started_ms":1795195920267,"now_ms":1795195920269,"input":{"r":1},"tokens":{"2":{"node":3,"visit":1,"since_ms":1795195920269,"at":{"waiting":{"message":"go","key":"waiting","due_ms":null,"visit":null}}}},"next_token":3,"visits":{"start":1,"until":1,"wait":1}}}');
INSERT INTO snapshot VALUES(11,'{"form":1,"nodes":{"2":"until"},"instance":{"version":1,"business_key":"sleeping","priority":0,"seq":1,"started_ms":1795195920372,"now_ms":1795195920372,"input":{"r":1},"tokens":{"1":{"node":2,"visit":1,"since_ms":1795195920372,"at":{"timer":{"due_ms":4000000000000}}}},"next_token":2,"visits":{"start":1,"until":1}}}');
CREATE TABLE journal (
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
INSERT INTO journal VALUES(5,3,1,1,1795195920194,1,'[{"seq":1,"at_ms":1795195920194,"type":"started","input":{"at":1000,"key":"ended"},"businessKey":"ended"}]');
INSERT INTO journal VALUES(6,3,2,2,1795195920240,1,'[{"seq":2,"at_ms":1795195920240,"type":"timer-fired","token":1,"dueMs":1000}]');
INSERT INTO journal VALUES(9,7,1,1,1795195920267,1,'[{"seq":1,"at_ms":1795195920267,"type":"started","input":{"at":1000,"key":"waiting"},"businessKey":"waiting"}]');
INSERT INTO journal VALUES(10,7,2,2,1795195920269,1,'[{"seq":2,"at_ms":1795195920269,"type":"timer-fired","token":1,"dueMs":1000}]');
INSERT INTO journal VALUES(13,11,1,1,1795195920372,1,'[{"seq":1,"at_ms":1795195920372,"type":"started","input":{"at":4000000000000,"key":"sleeping"},"businessKey":"sleeping"}]');
INSERT INTO journal VALUES(16,3,3,3,1795195920546,5,'[{"seq":3,"at_ms":1795195920546,"type":"message-arrived","token":2,"id":"01a1fa03-e009-77c5-b20f-1f1fff883bc0","payload":{"word":"on"}}]');
CREATE TABLE idempotency (
    flow text not null,
    key text not null,
    -- The sha256 of what was asked.
    request text not null,
    instance integer not null references instance (n),
    expires_ms integer not null,
    primary key (flow, key)
) strict, without rowid;
CREATE TABLE subscription (
    message text not null,
    key text not null,
    instance integer not null references instance (n),
    primary key (message, key, instance)
) strict, without rowid;
INSERT INTO subscription VALUES('go','waiting',7);
CREATE TABLE inbox (
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
CREATE TABLE seen (
    message text not null,
    id text not null,
    expires_ms integer not null,
    primary key (message, id)
) strict, without rowid;
INSERT INTO seen VALUES('go','01a1fa03-e009-77c5-b20f-1f1fff883bc0',1795282320393);
CREATE TABLE http_trigger (
    -- Below /t/, without a leading slash.
    path text primary key,
    flow text not null references flow (key),
    -- As the document has it.
    spec text not null check (json_valid(spec))
) strict, without rowid;
CREATE TABLE plugin (
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
CREATE TABLE connection (
    name text primary key,
    spec text not null check (json_valid(spec)),
    updated_ms integer not null,
    updated_by text not null
) strict, without rowid;
CREATE TABLE plugin_grant (
    plugin text not null,
    connection text not null references connection (name),
    granted_ms integer not null,
    granted_by text not null,
    primary key (plugin, connection)
) strict, without rowid;
CREATE TABLE setting (
    name text primary key,
    value text not null check (json_valid(value))
) strict, without rowid;
INSERT INTO setting VALUES('engine','"01a1fa03-decc-715e-9d9d-5503bb12945b"');
CREATE TABLE published_file (
    flow text not null,
    -- The sha256 of the file's bytes.
    content text not null,
    at_ms integer not null,
    primary key (flow, content)
) strict, without rowid;
CREATE TABLE audit (
    n integer primary key,
    at_ms integer not null,
    who text not null,
    action text not null,
    target text not null,
    detail text not null check (json_valid(detail))
) strict;
INSERT INTO audit VALUES(1,1795195920173,'admin','flow.publish','waits','{"hash":"4172c79b1bd039ab3eadf9fee7fdb91a839e6eff557193ff56caeba971984ea5","label":null,"version":1}');
INSERT INTO audit VALUES(4,1795195920194,'admin','instance.start','01a1fa03-df42-7270-99cc-2178826b2806','{"flow":"waits","version":1}');
INSERT INTO audit VALUES(8,1795195920267,'admin','instance.start','01a1fa03-df8b-755c-b3e4-178c4db7c576','{"flow":"waits","version":1}');
INSERT INTO audit VALUES(12,1795195920372,'admin','instance.start','01a1fa03-dff4-7055-8207-8b6f75ad06e2','{"flow":"waits","version":1}');
INSERT INTO audit VALUES(15,1795195920393,'admin','message.post','go','{"id":"01a1fa03-e009-77c5-b20f-1f1fff883bc0","key":"ended"}');
CREATE TABLE notice (
    n integer primary key,
    at_ms integer not null,
    body text not null check (json_valid(body))
) strict;
INSERT INTO notice VALUES(2,1795195920173,'{"kind":"published","flow":"waits","version":1}');
CREATE TABLE engine (
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
CREATE TABLE meeting (
    message text not null,
    key text not null,
    touched_ms integer not null,
    primary key (message, key)
) strict, without rowid;
CREATE TABLE IF NOT EXISTS "tally" (
    flow text not null,
    version integer not null,
    state integer not null check (state between 0 and 8),
    engine integer not null,
    instances integer not null,
    primary key (flow, version, state, engine)
) strict, without rowid;
INSERT INTO tally VALUES('waits',1,1,1,2);
INSERT INTO tally VALUES('waits',1,5,1,1);
CREATE INDEX instance_by_flow on instance (flow, n, version);
CREATE INDEX instance_by_state on instance (state, n, flow, version) where state <> 5;
CREATE INDEX instance_by_business_key on instance (business_key) where business_key is not null;
CREATE INDEX instance_by_wake on instance (owner, wake_ms, priority) where state <= 4;
CREATE INDEX journal_by_instance on journal (instance, first_seq);
CREATE INDEX idempotency_by_expiry on idempotency (expires_ms);
CREATE INDEX subscription_by_instance on subscription (instance);
CREATE INDEX inbox_by_instance on inbox (instance) where instance is not null;
CREATE INDEX inbox_by_message on inbox (message, key) where message is not null;
CREATE INDEX inbox_by_expiry on inbox (expires_ms) where expires_ms is not null;
CREATE INDEX seen_by_expiry on seen (expires_ms);
CREATE INDEX http_trigger_by_flow on http_trigger (flow);
CREATE INDEX plugin_by_name on plugin (name, version);
CREATE INDEX audit_by_target on audit (target, n);
CREATE INDEX meeting_by_touch on meeting (touched_ms);
COMMIT;
pragma application_id = 1937007984;
pragma user_version = 3;
