CREATE SCHEMA stepwell_old;
CREATE FUNCTION stepwell_old.json_valid(text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $_$select $1::json is not null$_$;
CREATE TABLE stepwell_old.audit (
    n bigint NOT NULL,
    at_ms bigint NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT audit_detail_check CHECK (stepwell_old.json_valid(detail))
);
CREATE TABLE stepwell_old.connection (
    name text NOT NULL COLLATE pg_catalog."C",
    spec text NOT NULL COLLATE pg_catalog."C",
    updated_ms bigint NOT NULL,
    updated_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT connection_spec_check CHECK (stepwell_old.json_valid(spec))
);
CREATE TABLE stepwell_old.draft (
    flow text NOT NULL COLLATE pg_catalog."C",
    document text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    base_version bigint,
    hash text COLLATE pg_catalog."C",
    updated_ms bigint NOT NULL,
    updated_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT draft_document_check CHECK (stepwell_old.json_valid(document)),
    CONSTRAINT draft_revision_check CHECK ((revision > 0))
);
CREATE TABLE stepwell_old.engine (
    number bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    counter bigint NOT NULL,
    seen_ms bigint,
    CONSTRAINT engine_epoch_check CHECK ((epoch > 0)),
    CONSTRAINT engine_number_check CHECK (((number >= 1) AND (number <= 255)))
);
CREATE TABLE stepwell_old.flow (
    key text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL COLLATE pg_catalog."C",
    updated_ms bigint NOT NULL,
    CONSTRAINT flow_title_check CHECK (stepwell_old.json_valid(title))
);
CREATE TABLE stepwell_old.http_trigger (
    path text NOT NULL COLLATE pg_catalog."C",
    flow text NOT NULL COLLATE pg_catalog."C",
    spec text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT http_trigger_spec_check CHECK (stepwell_old.json_valid(spec))
);
CREATE TABLE stepwell_old.idempotency (
    flow text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    request text NOT NULL COLLATE pg_catalog."C",
    instance bigint NOT NULL,
    expires_ms bigint NOT NULL
);
CREATE TABLE stepwell_old.inbox (
    n bigint NOT NULL,
    instance bigint,
    message text COLLATE pg_catalog."C",
    key text COLLATE pg_catalog."C",
    id text COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C",
    sent_by text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL,
    expires_ms bigint,
    CONSTRAINT inbox_body_check CHECK (stepwell_old.json_valid(body)),
    CONSTRAINT inbox_check CHECK (((instance IS NULL) = (message IS NOT NULL))),
    CONSTRAINT inbox_check1 CHECK (((message IS NULL) = ((key IS NULL) AND (id IS NULL) AND (expires_ms IS NULL)))),
    CONSTRAINT inbox_check2 CHECK (((message IS NULL) OR ((key IS NOT NULL) AND (id IS NOT NULL) AND (expires_ms IS NOT NULL))))
);
CREATE TABLE stepwell_old.instance (
    n bigint NOT NULL,
    id bytea NOT NULL,
    flow text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    business_key text COLLATE pg_catalog."C",
    priority bigint NOT NULL,
    state bigint NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    owner bigint NOT NULL,
    wake_ms bigint,
    started_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    error text COLLATE pg_catalog."C",
    reply text COLLATE pg_catalog."C",
    output text COLLATE pg_catalog."C",
    traceparent text COLLATE pg_catalog."C",
    CONSTRAINT instance_check1 CHECK (((state <= 4) OR ((owner = 0) AND (wake_ms IS NULL)))),
    CONSTRAINT instance_epoch_check CHECK ((epoch > 0)),
    CONSTRAINT instance_error_check CHECK (((error IS NULL) OR stepwell_old.json_valid(error))),
    CONSTRAINT instance_id_check CHECK ((length(id) = 16)),
    CONSTRAINT instance_output_check CHECK (((output IS NULL) OR (output = '='::text) OR stepwell_old.json_valid(output))),
    CONSTRAINT instance_reply_check CHECK (((reply IS NULL) OR stepwell_old.json_valid(reply))),
    CONSTRAINT instance_seq_check CHECK ((seq >= 0)),
    CONSTRAINT instance_state_check CHECK (((state >= 0) AND (state <= 8)))
)
WITH (fillfactor='70');
CREATE TABLE stepwell_old.journal (
    n bigint NOT NULL,
    instance bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    at_ms bigint NOT NULL,
    state bigint NOT NULL,
    entries text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT journal_check CHECK ((last_seq >= first_seq)),
    CONSTRAINT journal_first_seq_check CHECK ((first_seq > 0)),
    CONSTRAINT journal_state_check CHECK (((state >= 0) AND (state <= 8)))
);
CREATE TABLE stepwell_old.meeting (
    message text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    touched_ms bigint NOT NULL
)
WITH (fillfactor='70');
CREATE TABLE stepwell_old.migration (
    number bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    sha256 text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE stepwell_old.notice (
    n bigint NOT NULL,
    at_ms bigint NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT notice_body_check CHECK (stepwell_old.json_valid(body))
);
CREATE TABLE stepwell_old.plugin (
    digest text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    status bigint NOT NULL,
    effect text NOT NULL COLLATE pg_catalog."C",
    loaded_ms bigint NOT NULL,
    loaded_by text NOT NULL COLLATE pg_catalog."C",
    bytes bigint NOT NULL,
    manifest text NOT NULL COLLATE pg_catalog."C",
    wasm bytea NOT NULL,
    CONSTRAINT plugin_manifest_check CHECK (stepwell_old.json_valid(manifest)),
    CONSTRAINT plugin_status_check CHECK (((status >= 0) AND (status <= 2)))
);
CREATE TABLE stepwell_old.plugin_grant (
    plugin text NOT NULL COLLATE pg_catalog."C",
    connection text NOT NULL COLLATE pg_catalog."C",
    granted_ms bigint NOT NULL,
    granted_by text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE stepwell_old.published_file (
    flow text NOT NULL COLLATE pg_catalog."C",
    content text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL
);
CREATE TABLE stepwell_old.seen (
    message text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    expires_ms bigint NOT NULL
);
CREATE TABLE stepwell_old.setting (
    name text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT setting_value_check CHECK (stepwell_old.json_valid(value))
);
CREATE TABLE stepwell_old.snapshot (
    instance bigint NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C"
)
WITH (fillfactor='70');
CREATE TABLE stepwell_old.subscription (
    message text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    instance bigint NOT NULL
);
CREATE TABLE stepwell_old.tally (
    flow text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    state bigint NOT NULL,
    engine bigint NOT NULL,
    instances bigint NOT NULL,
    CONSTRAINT tally_by_engine_state_check CHECK (((state >= 0) AND (state <= 8)))
);
CREATE TABLE stepwell_old.version (
    flow text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    hash text NOT NULL COLLATE pg_catalog."C",
    label text COLLATE pg_catalog."C",
    published_ms bigint NOT NULL,
    published_by text NOT NULL COLLATE pg_catalog."C",
    document text NOT NULL COLLATE pg_catalog."C",
    catalog text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT version_catalog_check CHECK (stepwell_old.json_valid(catalog)),
    CONSTRAINT version_document_check CHECK (stepwell_old.json_valid(document)),
    CONSTRAINT version_version_check CHECK ((version > 0))
);
INSERT INTO stepwell_old.audit VALUES (911711912062877697, 1795205858652, 'admin', 'flow.publish', 'ended', '{"hash":"e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911711912503279873, 1795205858729, 'admin', 'instance.start', '01a1fa9b-85a9-75a2-aa65-f459a1586771', '{"flow":"ended","version":1}');
INSERT INTO stepwell_old.audit VALUES (911711912503280129, 1795205858760, 'admin', 'flow.publish', 'receive', '{"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911711913056928001, 1795205858861, 'admin', 'instance.start', '01a1fa9b-862d-76a4-a222-dd4324143ce0', '{"flow":"receive","version":1}');
INSERT INTO stepwell_old.audit VALUES (911711913056928257, 1795205858931, 'admin', 'flow.publish', 'suspended', '{"hash":"f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911711913845457153, 1795205859049, 'admin', 'instance.start', '01a1fa9b-86e9-718c-a4b8-e16cfb741003', '{"flow":"suspended","version":1}');
INSERT INTO stepwell_old.audit VALUES (911711914105504001, 1795205859111, 'admin', 'instance.suspend', '01a1fa9b-86e9-718c-a4b8-e16cfb741003', '{"command":"suspend","reason":"later"}');
INSERT INTO stepwell_old.audit VALUES (911711914487185409, 1795205859254, 'admin', 'flow.publish', 'timer', '{"hash":"b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911711914931781889, 1795205859308, 'admin', 'instance.start', '01a1fa9b-87ec-77a2-b9e2-01b52e85b1c7', '{"flow":"timer","version":1}');
INSERT INTO stepwell_old.audit VALUES (911711915040833537, 1795205859350, 'admin', 'flow.publish', 'event', '{"hash":"2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911711915430904065, 1795205859427, 'admin', 'instance.start', '01a1fa9b-8863-70f5-9f13-62ed3d09374c', '{"flow":"event","version":1}');
INSERT INTO stepwell_old.audit VALUES (911711915430904321, 1795205859529, 'admin', 'flow.publish', 'call', '{"hash":"690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911711916190073089, 1795205859608, 'admin', 'instance.start', '01a1fa9b-8918-743c-8c04-5d6fee59256c', '{"flow":"call","version":1}');
INSERT INTO stepwell_old.audit VALUES (911711916190073345, 1795205859701, 'admin', 'flow.publish', 'each', '{"hash":"dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911711916932464897, 1795205859785, 'admin', 'instance.start', '01a1fa9b-89c9-7034-b99d-4c8743807a14', '{"flow":"each","version":1}');
INSERT INTO stepwell_old.engine VALUES (1, '01a1fa9b-806d-7071-a94e-198f2a231b33', 2, 3561374672617474, NULL);
INSERT INTO stepwell_old.flow VALUES ('ended', 'graph', '"ended"', 1795205858652);
INSERT INTO stepwell_old.flow VALUES ('receive', 'graph', '"receive"', 1795205858760);
INSERT INTO stepwell_old.flow VALUES ('suspended', 'graph', '"suspended"', 1795205858931);
INSERT INTO stepwell_old.flow VALUES ('timer', 'graph', '"timer"', 1795205859254);
INSERT INTO stepwell_old.flow VALUES ('event', 'graph', '"event"', 1795205859350);
INSERT INTO stepwell_old.flow VALUES ('call', 'graph', '"call"', 1795205859529);
INSERT INTO stepwell_old.flow VALUES ('each', 'graph', '"each"', 1795205859701);
INSERT INTO stepwell_old.idempotency VALUES ('ended', 'ended', '878389a7e0e2b72ef40c1f904e353ac9364c32ce3bd2323a1a37f2dcf840c40d', 911711912503279617, 1795292258729);
INSERT INTO stepwell_old.idempotency VALUES ('receive', 'receive', '8533a2245282109c02ba1625cdba7fe57063ee71b087c6307ff5e4b6b8ffc897', 911711913056927745, 1795292258861);
INSERT INTO stepwell_old.idempotency VALUES ('suspended', 'suspended', '99598e4a4ff459b6a1df93a94ea000b179677bbd6995148dfb58ebba85561133', 911711913845456897, 1795292259049);
INSERT INTO stepwell_old.idempotency VALUES ('timer', 'timer', '5a31312f3774639e822470e40377ebf92797524505b00e54440f82fc6ee27d90', 911711914931781633, 1795292259308);
INSERT INTO stepwell_old.idempotency VALUES ('event', 'event', 'b2139bf4bf4615dba60325b322eda73b9e2efb95ab92608374e1bd9c3e913722', 911711915430903809, 1795292259427);
INSERT INTO stepwell_old.idempotency VALUES ('call', 'call', '4ff2363ceef8dae2728b1a2c293d6ba2b6bc0056145c78e6b329a5c8ab817f74', 911711916190072833, 1795292259608);
INSERT INTO stepwell_old.idempotency VALUES ('each', 'each', 'c25d7a3e29cbd5cd9cf324ee748dafbe27264615e4f99c4ba45ab404ebf67807', 911711916932464641, 1795292259785);
INSERT INTO stepwell_old.instance VALUES (911711912503279617, '\x01a1fa9b85a975a2aa65f459a1586771', 'ended', 1, 'ended', 0, 5, 1, 1, 0, NULL, 1795205858729, 1795205858729, NULL, NULL, '{"key":"ended"}', NULL);
INSERT INTO stepwell_old.instance VALUES (911711913056927745, '\x01a1fa9b862d76a4a222dd4324143ce0', 'receive', 1, 'receive', 0, 1, 1, 1, 0, NULL, 1795205858861, 1795205858861, NULL, NULL, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911711913845456897, '\x01a1fa9b86e9718ca4b8e16cfb741003', 'suspended', 1, 'suspended', 0, 3, 2, 2, 0, NULL, 1795205859049, 1795205859202, NULL, NULL, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911711914931781633, '\x01a1fa9b87ec77a2b9e201b52e85b1c7', 'timer', 1, 'timer', 0, 1, 1, 1, 0, 1795205979308, 1795205859308, 1795205859308, NULL, NULL, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911711915430903809, '\x01a1fa9b886370f59f1362ed3d09374c', 'event', 1, 'event', 0, 1, 1, 1, 0, 1821125859427, 1795205859427, 1795205859427, NULL, NULL, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911711916190072833, '\x01a1fa9b8918743c8c045d6fee59256c', 'call', 1, 'call', 0, 1, 1, 1, 0, NULL, 1795205859608, 1795205859608, NULL, NULL, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911711916932464641, '\x01a1fa9b89c97034b99d4c8743807a14', 'each', 1, 'each', 0, 1, 1, 1, 0, NULL, 1795205859785, 1795205859785, NULL, NULL, NULL, NULL);
INSERT INTO stepwell_old.journal VALUES (281474976710658, 911711912503279617, 1, 1, 1795205858729, 5, '[{"seq":1,"at_ms":1795205858729,"type":"started","input":{"key":"ended"},"businessKey":"ended"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710660, 911711913056927745, 1, 1, 1795205858861, 1, '[{"seq":1,"at_ms":1795205858861,"type":"started","input":{"key":"receive"},"businessKey":"receive"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710662, 911711913845456897, 1, 1, 1795205859049, 1, '[{"seq":1,"at_ms":1795205859049,"type":"started","input":{"key":"suspended"},"businessKey":"suspended"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710663, 911711913845456897, 2, 2, 1795205859202, 3, '[{"seq":2,"at_ms":1795205859202,"type":"commanded","command":"suspend","reason":"later","by":"admin"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710665, 911711914931781633, 1, 1, 1795205859308, 1, '[{"seq":1,"at_ms":1795205859308,"type":"started","input":{"key":"timer"},"businessKey":"timer"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710667, 911711915430903809, 1, 1, 1795205859427, 1, '[{"seq":1,"at_ms":1795205859427,"type":"started","input":{"key":"event"},"businessKey":"event"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710669, 911711916190072833, 1, 1, 1795205859608, 1, '[{"seq":1,"at_ms":1795205859608,"type":"started","input":{"key":"call"},"businessKey":"call"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710671, 911711916932464641, 1, 1, 1795205859785, 1, '[{"seq":1,"at_ms":1795205859785,"type":"started","input":{"key":"each"},"businessKey":"each"}]');
INSERT INTO stepwell_old.meeting VALUES ('', 'ended', 1795205858624);
INSERT INTO stepwell_old.meeting VALUES ('', 'receive', 1795205858729);
INSERT INTO stepwell_old.meeting VALUES ('go', 'receive', 1795205858861);
INSERT INTO stepwell_old.meeting VALUES ('', 'suspended', 1795205858861);
INSERT INTO stepwell_old.meeting VALUES ('go', 'suspended', 1795205859202);
INSERT INTO stepwell_old.meeting VALUES ('', 'timer', 1795205859202);
INSERT INTO stepwell_old.meeting VALUES ('', 'event', 1795205859334);
INSERT INTO stepwell_old.meeting VALUES ('go', 'event', 1795205859427);
INSERT INTO stepwell_old.meeting VALUES ('', 'call', 1795205859427);
INSERT INTO stepwell_old.meeting VALUES ('go', 'call', 1795205859608);
INSERT INTO stepwell_old.meeting VALUES ('', '/plugins/', 1795205859608);
INSERT INTO stepwell_old.meeting VALUES ('', '/t/', 1795205859608);
INSERT INTO stepwell_old.meeting VALUES ('', 'each', 1795205859608);
INSERT INTO stepwell_old.meeting VALUES ('go', 'each-1', 1795205859785);
INSERT INTO stepwell_old.meeting VALUES ('go', 'each-2', 1795205859785);
INSERT INTO stepwell_old.migration VALUES (1, '0001-instances', '1e0f5c951e5f7a6c2e05e26df675d36d22bbfac70007f4a6e5ceea8cc4835134');
INSERT INTO stepwell_old.migration VALUES (2, '0002-administration', '57f192f929103fe600d81a768f6619c51229b21eaaaa56062e78e3e91c3bbabc');
INSERT INTO stepwell_old.migration VALUES (3, '0003-many-engines', '601313894acfb2895e1e02c70d8c9788c970cd4094ee102808e503e7651dd85e');
INSERT INTO stepwell_old.notice VALUES (281474976710657, 1795205858652, '{"kind":"published","flow":"ended","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710659, 1795205858760, '{"kind":"published","flow":"receive","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710661, 1795205858931, '{"kind":"published","flow":"suspended","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710664, 1795205859254, '{"kind":"published","flow":"timer","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710666, 1795205859350, '{"kind":"published","flow":"event","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710668, 1795205859529, '{"kind":"published","flow":"call","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710670, 1795205859701, '{"kind":"published","flow":"each","version":1}');
INSERT INTO stepwell_old.setting VALUES ('engine', '"01a1fa9b-84f9-7026-b8b0-5ef67458f3f3"');
INSERT INTO stepwell_old.snapshot VALUES (911711913056927745, '{"form":2,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"receive","priority":0,"seq":1,"started_ms":1795205858861,"now_ms":1795205858861,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205858861,"at":{"waiting":{"message":"go","key":"receive","due_ms":null,"visit":null}}}},"next_token":2}}');
INSERT INTO stepwell_old.snapshot VALUES (911711913845456897, '{"form":2,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"suspended","priority":0,"seq":2,"started_ms":1795205859049,"now_ms":1795205859202,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205859049,"at":{"waiting":{"message":"go","key":"suspended","due_ms":null,"visit":null}}}},"next_token":2,"suspended":true}}');
INSERT INTO stepwell_old.snapshot VALUES (911711914931781633, '{"form":2,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"timer","priority":0,"seq":1,"started_ms":1795205859308,"now_ms":1795205859308,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205859308,"at":{"timer":{"due_ms":1795205979308}}}},"next_token":2}}');
INSERT INTO stepwell_old.snapshot VALUES (911711915430903809, '{"form":2,"nodes":{"0":"come","2":"late"},"instance":{"version":1,"business_key":"event","priority":0,"seq":1,"started_ms":1795205859427,"now_ms":1795205859427,"scopes":{"0":{"input":{"r":1},"visits":{"come":1,"late":1,"start":1,"wait":1}}},"next_scope":1,"tokens":{"2":{"node":0,"visit":1,"since_ms":1795205859427,"at":{"waiting":{"message":"go","key":"event","due_ms":null,"visit":null}},"race":1},"3":{"node":2,"visit":1,"since_ms":1795205859427,"at":{"timer":{"due_ms":1821125859427}},"race":1}},"next_token":4}}');
INSERT INTO stepwell_old.snapshot VALUES (911711916190072833, '{"form":2,"nodes":{"2":"wait","5":"receive@1:wait"},"instance":{"version":1,"business_key":"call","priority":0,"seq":1,"started_ms":1795205859608,"now_ms":1795205859608,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":2,"host":1},"path":"wait.1/","input":{"v":{"key":"call"}},"visits":{"start":1,"wait":1}}},"next_scope":2,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205859608,"at":"inside"},"2":{"scope":1,"node":5,"visit":1,"since_ms":1795205859608,"at":{"waiting":{"message":"go","key":"call","due_ms":null,"visit":null}}}},"next_token":3}}');
INSERT INTO stepwell_old.snapshot VALUES (911711916932464641, '{"form":2,"nodes":{"1":"inner","3":"wait"},"instance":{"version":1,"business_key":"each","priority":0,"seq":1,"started_ms":1795205859785,"now_ms":1795205859785,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":3,"host":1},"path":"wait.1/","progress":{"items":{"v":["each-1","each-2","each-3"]},"next":2,"open":2,"results":{}}},"2":{"within":{"scope":1,"node":3,"host":1,"item":{"index":0,"value":{"v":"each-1"}}},"path":"wait.1/0/","visits":{"inner":1}},"3":{"within":{"scope":1,"node":3,"host":1,"item":{"index":1,"value":{"v":"each-2"}}},"path":"wait.1/1/","visits":{"inner":1}}},"next_scope":4,"tokens":{"1":{"node":3,"visit":1,"since_ms":1795205859785,"at":"inside"},"2":{"scope":2,"node":1,"visit":1,"since_ms":1795205859785,"at":{"waiting":{"message":"go","key":"each-1","due_ms":null,"visit":null}}},"3":{"scope":3,"node":1,"visit":1,"since_ms":1795205859785,"at":{"waiting":{"message":"go","key":"each-2","due_ms":null,"visit":null}}}},"next_token":4}}');
INSERT INTO stepwell_old.subscription VALUES ('go', 'receive', 911711913056927745);
INSERT INTO stepwell_old.subscription VALUES ('go', 'event', 911711915430903809);
INSERT INTO stepwell_old.subscription VALUES ('go', 'call', 911711916190072833);
INSERT INTO stepwell_old.subscription VALUES ('go', 'each-1', 911711916932464641);
INSERT INTO stepwell_old.subscription VALUES ('go', 'each-2', 911711916932464641);
INSERT INTO stepwell_old.tally VALUES ('ended', 1, 5, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('receive', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('suspended', 1, 1, 1, 0);
INSERT INTO stepwell_old.tally VALUES ('suspended', 1, 3, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('timer', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('event', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('call', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('each', 1, 1, 1, 1);
INSERT INTO stepwell_old.version VALUES ('ended', 1, 'e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd', NULL, 1795205858652, 'admin', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"ended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"type":"set","vars":{"a":1}}},"stepwell":1}', '{"nodeTypes":{}}');
INSERT INTO stepwell_old.version VALUES ('receive', 1, 'f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653', NULL, 1795205858760, 'admin', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}', '{"nodeTypes":{}}');
INSERT INTO stepwell_old.version VALUES ('suspended', 1, 'f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a', NULL, 1795205858931, 'admin', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"suspended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}', '{"nodeTypes":{}}');
INSERT INTO stepwell_old.version VALUES ('timer', 1, 'b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0', NULL, 1795205859254, 'admin', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"timer","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"after":"2m","type":"timer"}},"stepwell":1}', '{"nodeTypes":{}}');
INSERT INTO stepwell_old.version VALUES ('event', 1, '2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969', NULL, 1795205859350, 'admin', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"come"},{"from":"wait","to":"late"},{"from":"come","to":"end"},{"from":"late","to":"end"}],"key":"event","kind":"graph","nodes":{"come":{"key":"=input.key","message":"go","type":"receive"},"end":{"output":{"key":"=input.key"},"type":"end"},"late":{"after":"300d","type":"timer"},"start":{"type":"start"},"wait":{"type":"event-gateway"}},"stepwell":1}', '{"nodeTypes":{}}');
INSERT INTO stepwell_old.version VALUES ('call', 1, '690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c', NULL, 1795205859529, 'admin', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"call","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"flow":"receive","type":"call","with":{"key":"=input.key"}}},"stepwell":1}', '{"flows":{"receive":{"catalog":{"nodeTypes":{}},"document":{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1},"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","key":"receive","version":1}},"nodeTypes":{}}');
INSERT INTO stepwell_old.version VALUES ('each', 1, 'dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced', NULL, 1795205859701, 'admin', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"each","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"inner":{"in":"wait","key":"=item","message":"go","type":"receive"},"start":{"type":"start"},"wait":{"items":["each-1","each-2","each-3"],"limit":2,"output":"=item","type":"for-each"}},"stepwell":1}', '{"nodeTypes":{}}');
ALTER TABLE ONLY stepwell_old.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (n);
ALTER TABLE ONLY stepwell_old.connection
    ADD CONSTRAINT connection_pkey PRIMARY KEY (name);
ALTER TABLE ONLY stepwell_old.draft
    ADD CONSTRAINT draft_pkey PRIMARY KEY (flow);
ALTER TABLE ONLY stepwell_old.engine
    ADD CONSTRAINT engine_name_key UNIQUE (name);
ALTER TABLE ONLY stepwell_old.engine
    ADD CONSTRAINT engine_pkey PRIMARY KEY (number);
ALTER TABLE ONLY stepwell_old.flow
    ADD CONSTRAINT flow_pkey PRIMARY KEY (key);
ALTER TABLE ONLY stepwell_old.http_trigger
    ADD CONSTRAINT http_trigger_pkey PRIMARY KEY (path);
ALTER TABLE ONLY stepwell_old.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (flow, key);
ALTER TABLE ONLY stepwell_old.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (n);
ALTER TABLE ONLY stepwell_old.instance
    ADD CONSTRAINT instance_id_key UNIQUE (id);
ALTER TABLE ONLY stepwell_old.instance
    ADD CONSTRAINT instance_pkey PRIMARY KEY (n);
ALTER TABLE ONLY stepwell_old.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY (n);
ALTER TABLE ONLY stepwell_old.meeting
    ADD CONSTRAINT meeting_pkey PRIMARY KEY (message, key);
ALTER TABLE ONLY stepwell_old.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number);
ALTER TABLE ONLY stepwell_old.notice
    ADD CONSTRAINT notice_pkey PRIMARY KEY (n);
ALTER TABLE ONLY stepwell_old.plugin_grant
    ADD CONSTRAINT plugin_grant_pkey PRIMARY KEY (plugin, connection);
ALTER TABLE ONLY stepwell_old.plugin
    ADD CONSTRAINT plugin_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY stepwell_old.published_file
    ADD CONSTRAINT published_file_pkey PRIMARY KEY (flow, content);
ALTER TABLE ONLY stepwell_old.seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (message, id);
ALTER TABLE ONLY stepwell_old.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (name);
ALTER TABLE ONLY stepwell_old.snapshot
    ADD CONSTRAINT snapshot_pkey PRIMARY KEY (instance);
ALTER TABLE ONLY stepwell_old.subscription
    ADD CONSTRAINT subscription_pkey PRIMARY KEY (message, key, instance);
ALTER TABLE ONLY stepwell_old.tally
    ADD CONSTRAINT tally_by_engine_pkey PRIMARY KEY (flow, version, state, engine);
ALTER TABLE ONLY stepwell_old.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (flow, version);
CREATE INDEX audit_by_target ON stepwell_old.audit USING btree (target, n);
CREATE INDEX http_trigger_by_flow ON stepwell_old.http_trigger USING btree (flow);
CREATE INDEX idempotency_by_expiry ON stepwell_old.idempotency USING btree (expires_ms);
CREATE INDEX inbox_by_expiry ON stepwell_old.inbox USING btree (expires_ms) WHERE (expires_ms IS NOT NULL);
CREATE INDEX inbox_by_instance ON stepwell_old.inbox USING btree (instance) WHERE (instance IS NOT NULL);
CREATE INDEX inbox_by_message ON stepwell_old.inbox USING btree (message, key) WHERE (message IS NOT NULL);
CREATE INDEX instance_by_business_key ON stepwell_old.instance USING btree (business_key) WHERE (business_key IS NOT NULL);
CREATE INDEX instance_by_flow ON stepwell_old.instance USING btree (flow, n, version);
CREATE INDEX instance_by_state ON stepwell_old.instance USING btree (state, n, flow, version) WHERE (state <> 5);
CREATE INDEX instance_by_wake ON stepwell_old.instance USING btree (owner, wake_ms, priority) WHERE (state <= 4);
CREATE INDEX journal_by_instance ON stepwell_old.journal USING btree (instance, first_seq);
CREATE INDEX meeting_by_touch ON stepwell_old.meeting USING btree (touched_ms);
CREATE INDEX plugin_by_name ON stepwell_old.plugin USING btree (name, version);
CREATE INDEX seen_by_expiry ON stepwell_old.seen USING btree (expires_ms);
CREATE INDEX subscription_by_instance ON stepwell_old.subscription USING btree (instance);
ALTER TABLE ONLY stepwell_old.draft
    ADD CONSTRAINT draft_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
ALTER TABLE ONLY stepwell_old.http_trigger
    ADD CONSTRAINT http_trigger_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
ALTER TABLE ONLY stepwell_old.instance
    ADD CONSTRAINT instance_flow_version_fkey FOREIGN KEY (flow, version) REFERENCES stepwell_old.version(flow, version);
ALTER TABLE ONLY stepwell_old.plugin_grant
    ADD CONSTRAINT plugin_grant_connection_fkey FOREIGN KEY (connection) REFERENCES stepwell_old.connection(name);
ALTER TABLE ONLY stepwell_old.version
    ADD CONSTRAINT version_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
