CREATE SCHEMA stepwell_old;
CREATE FUNCTION stepwell_old.json_valid(text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $_$select $1::json is not null$_$;
CREATE TABLE stepwell_old.account (
    name text NOT NULL COLLATE pg_catalog."C",
    password text NOT NULL COLLATE pg_catalog."C",
    disabled bigint NOT NULL,
    must_change bigint NOT NULL,
    created_ms bigint NOT NULL,
    created_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT account_disabled_check CHECK ((disabled = ANY (ARRAY[(0)::bigint, (1)::bigint]))),
    CONSTRAINT account_must_change_check CHECK ((must_change = ANY (ARRAY[(0)::bigint, (1)::bigint])))
);
CREATE TABLE stepwell_old.api_token (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL COLLATE pg_catalog."C",
    owner text COLLATE pg_catalog."C",
    created_ms bigint NOT NULL,
    expires_ms bigint,
    used_ms bigint
);
CREATE TABLE stepwell_old.audit (
    n bigint NOT NULL,
    at_ms bigint NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT audit_detail_check CHECK (stepwell_old.json_valid(detail))
);
CREATE TABLE stepwell_old.binding (
    flow text NOT NULL COLLATE pg_catalog."C",
    spec text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    updated_ms bigint NOT NULL,
    updated_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT binding_revision_check CHECK ((revision > 0)),
    CONSTRAINT binding_spec_check CHECK (stepwell_old.json_valid(spec))
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
    transient bigint DEFAULT 0 NOT NULL,
    CONSTRAINT inbox_body_check CHECK (stepwell_old.json_valid(body)),
    CONSTRAINT inbox_check CHECK (((instance IS NULL) = (message IS NOT NULL))),
    CONSTRAINT inbox_check1 CHECK (((message IS NULL) = ((key IS NULL) AND (id IS NULL) AND (expires_ms IS NULL)))),
    CONSTRAINT inbox_check2 CHECK (((message IS NULL) OR ((key IS NOT NULL) AND (id IS NOT NULL) AND (expires_ms IS NOT NULL)))),
    CONSTRAINT inbox_transient_check CHECK ((transient = ANY (ARRAY[(0)::bigint, (1)::bigint])))
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
    bound_by text COLLATE pg_catalog."C",
    unique_key bigint DEFAULT 0 NOT NULL,
    forget_ms bigint,
    erased_ms bigint,
    CONSTRAINT instance_check CHECK (((forget_ms IS NULL) OR (state > 4))),
    CONSTRAINT instance_check1 CHECK (((state <= 4) OR ((owner = 0) AND (wake_ms IS NULL)))),
    CONSTRAINT instance_check2 CHECK (((erased_ms IS NULL) OR (state > 4))),
    CONSTRAINT instance_epoch_check CHECK ((epoch > 0)),
    CONSTRAINT instance_error_check CHECK (((error IS NULL) OR stepwell_old.json_valid(error))),
    CONSTRAINT instance_id_check CHECK ((length(id) = 16)),
    CONSTRAINT instance_output_check CHECK (((output IS NULL) OR (output = '='::text) OR stepwell_old.json_valid(output))),
    CONSTRAINT instance_reply_check CHECK (((reply IS NULL) OR stepwell_old.json_valid(reply))),
    CONSTRAINT instance_seq_check CHECK ((seq >= 0)),
    CONSTRAINT instance_state_check CHECK (((state >= 0) AND (state <= 8))),
    CONSTRAINT instance_unique_key_check CHECK (((unique_key >= 0) AND (unique_key <= 2)))
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
CREATE TABLE stepwell_old.machine_action (
    flow text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    revision bigint NOT NULL,
    action text NOT NULL COLLATE pg_catalog."C",
    document text COLLATE pg_catalog."C",
    catalog text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT machine_action_catalog_check CHECK (stepwell_old.json_valid(catalog)),
    CONSTRAINT machine_action_document_check CHECK (((document IS NULL) OR stepwell_old.json_valid(document))),
    CONSTRAINT machine_action_revision_check CHECK ((revision > 0))
);
CREATE TABLE stepwell_old.machine_standing (
    instance bigint NOT NULL,
    flow text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    since_ms bigint NOT NULL
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
CREATE TABLE stepwell_old.passed (
    engine bigint NOT NULL,
    n bigint NOT NULL
);
CREATE TABLE stepwell_old.pause (
    kind text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    paused_ms bigint NOT NULL,
    paused_by text NOT NULL COLLATE pg_catalog."C",
    probe_ms bigint,
    resume bigint NOT NULL,
    probed_ms bigint,
    probe text COLLATE pg_catalog."C",
    CONSTRAINT pause_kind_check CHECK ((kind = ANY (ARRAY['node-type'::text, 'connection'::text]))),
    CONSTRAINT pause_probe_check CHECK (((probe IS NULL) OR stepwell_old.json_valid(probe))),
    CONSTRAINT pause_probe_ms_check CHECK ((probe_ms > 0)),
    CONSTRAINT pause_resume_check CHECK ((resume = ANY (ARRAY[(0)::bigint, (1)::bigint])))
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
    namespace text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    spec text NOT NULL COLLATE pg_catalog."C",
    granted_ms bigint NOT NULL,
    granted_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT plugin_grant_check CHECK (((name = ''::text) = (kind = 'limits'::text))),
    CONSTRAINT plugin_grant_kind_check CHECK ((kind = ANY (ARRAY['connection'::text, 'records'::text, 'limits'::text]))),
    CONSTRAINT plugin_grant_spec_check CHECK (stepwell_old.json_valid(spec))
);
CREATE TABLE stepwell_old.published_file (
    flow text NOT NULL COLLATE pg_catalog."C",
    content text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL
);
CREATE TABLE stepwell_old.ran_before (
    flow text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    instance bigint NOT NULL
);
CREATE TABLE stepwell_old.record (
    type text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    status_code bigint NOT NULL,
    revision bigint NOT NULL,
    body text NOT NULL COLLATE pg_catalog."C",
    updated_ms bigint NOT NULL,
    CONSTRAINT record_body_check CHECK (stepwell_old.json_valid(body)),
    CONSTRAINT record_revision_check CHECK ((revision > 0))
);
CREATE TABLE stepwell_old.record_type (
    key text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    document text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    published_ms bigint NOT NULL,
    published_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT record_type_document_check CHECK (stepwell_old.json_valid(document)),
    CONSTRAINT record_type_version_check CHECK ((version > 0))
);
CREATE TABLE stepwell_old.revocation (
    digest text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    revoked_ms bigint NOT NULL,
    revoked_by text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE stepwell_old.role_given (
    kind text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    namespace text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT role_given_kind_check CHECK ((kind = ANY (ARRAY['user'::text, 'token'::text]))),
    CONSTRAINT role_given_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'operator'::text, 'designer'::text, 'admin'::text])))
);
CREATE TABLE stepwell_old.route (
    path text NOT NULL COLLATE pg_catalog."C",
    spec text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    updated_ms bigint NOT NULL,
    updated_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT route_revision_check CHECK ((revision > 0)),
    CONSTRAINT route_spec_check CHECK (stepwell_old.json_valid(spec))
);
CREATE TABLE stepwell_old.schedule (
    flow text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    spec text NOT NULL COLLATE pg_catalog."C",
    due_ms bigint,
    paused bigint NOT NULL,
    last text COLLATE pg_catalog."C",
    CONSTRAINT schedule_last_check CHECK (((last IS NULL) OR stepwell_old.json_valid(last))),
    CONSTRAINT schedule_paused_check CHECK ((paused = ANY (ARRAY[(0)::bigint, (1)::bigint])))
);
CREATE TABLE stepwell_old.secret (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    key_id text NOT NULL COLLATE pg_catalog."C",
    sealed text NOT NULL COLLATE pg_catalog."C",
    changed_ms bigint NOT NULL,
    changed_by text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT secret_version_check CHECK ((version > 0))
);
CREATE TABLE stepwell_old.seen (
    message text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    expires_ms bigint NOT NULL
);
CREATE TABLE stepwell_old.session (
    digest text NOT NULL COLLATE pg_catalog."C",
    account text COLLATE pg_catalog."C",
    created_ms bigint NOT NULL,
    seen_ms bigint NOT NULL,
    ends_ms bigint NOT NULL
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
CREATE TABLE stepwell_old.tally_by_choice (
    flow text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    bound_by text NOT NULL COLLATE pg_catalog."C",
    state bigint NOT NULL,
    engine bigint NOT NULL,
    instances bigint NOT NULL,
    CONSTRAINT tally_by_choice_state_check CHECK (((state >= 0) AND (state <= 8)))
);
CREATE TABLE stepwell_old.task (
    instance bigint NOT NULL,
    token bigint NOT NULL,
    attempt bigint NOT NULL,
    visit bigint NOT NULL,
    node text NOT NULL COLLATE pg_catalog."C",
    place text NOT NULL COLLATE pg_catalog."C",
    topic text COLLATE pg_catalog."C",
    input text NOT NULL COLLATE pg_catalog."C",
    since_ms bigint NOT NULL,
    until_ms bigint,
    due_ms bigint,
    assignee text COLLATE pg_catalog."C",
    users text NOT NULL COLLATE pg_catalog."C",
    groups text NOT NULL COLLATE pg_catalog."C",
    worker text COLLATE pg_catalog."C",
    locked_ms bigint,
    key text COLLATE pg_catalog."C",
    CONSTRAINT task_groups_check CHECK (stepwell_old.json_valid(groups)),
    CONSTRAINT task_input_check CHECK (stepwell_old.json_valid(input)),
    CONSTRAINT task_users_check CHECK (stepwell_old.json_valid(users))
);
CREATE TABLE stepwell_old.upload (
    id text NOT NULL COLLATE pg_catalog."C",
    at_ms bigint NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT upload_body_check CHECK (stepwell_old.json_valid(body)),
    CONSTRAINT upload_state_check CHECK ((state = ANY (ARRAY['running'::text, 'live'::text, 'tried'::text, 'refused'::text])))
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
    retired_ms bigint,
    CONSTRAINT version_catalog_check CHECK (stepwell_old.json_valid(catalog)),
    CONSTRAINT version_document_check CHECK (stepwell_old.json_valid(document)),
    CONSTRAINT version_version_check CHECK ((version > 0))
);
INSERT INTO stepwell_old.audit VALUES (911829632590807041, 1795233925396, 'token:bootstrap', 'flow.publish', 'ended', '{"hash":"e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632687276289, 1795233925408, 'token:bootstrap', 'instance.start', '01a1fc47-c920-7054-aa81-19b181cdf0d1', '{"flow":"ended","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632687276545, 1795233925421, 'token:bootstrap', 'flow.publish', 'receive', '{"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632758579457, 1795233925425, 'token:bootstrap', 'instance.start', '01a1fc47-c931-742e-975b-2b3b877e1113', '{"flow":"receive","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632758579713, 1795233925435, 'token:bootstrap', 'flow.publish', 'suspended', '{"hash":"f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632813105409, 1795233925438, 'token:bootstrap', 'instance.start', '01a1fc47-c93e-764f-a55a-538a6a0cfa50', '{"flow":"suspended","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632829882625, 1795233925442, 'token:bootstrap', 'instance.suspend', '01a1fc47-c93e-764f-a55a-538a6a0cfa50', '{"command":"suspend","reason":"later"}');
INSERT INTO stepwell_old.audit VALUES (911829632863436801, 1795233925472, 'token:bootstrap', 'flow.publish', 'timer', '{"hash":"b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632980877569, 1795233925478, 'token:bootstrap', 'instance.start', '01a1fc47-c966-75b9-a6bf-d99e137ad1e1', '{"flow":"timer","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829632989265921, 1795233925484, 'token:bootstrap', 'flow.publish', 'event', '{"hash":"2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633018626305, 1795233925487, 'token:bootstrap', 'instance.start', '01a1fc47-c96f-7228-b934-d43e53e458fe', '{"flow":"event","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633018626561, 1795233925490, 'token:bootstrap', 'flow.publish', 'call', '{"hash":"690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633043792129, 1795233925493, 'token:bootstrap', 'instance.start', '01a1fc47-c975-76dc-afe0-69f529c6d24e', '{"flow":"call","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633043792385, 1795233925498, 'token:bootstrap', 'flow.publish', 'each', '{"hash":"dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633077346561, 1795233925501, 'token:bootstrap', 'instance.start', '01a1fc47-c97d-7660-984a-fa2d329879ba', '{"flow":"each","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633077346817, 1795233925505, 'token:bootstrap', 'flow.publish', 'person', '{"hash":"7ce57a657b64509fbeff45a04d958d1c98228b4821551beda755663682c55f77","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633115095297, 1795233925510, 'token:bootstrap', 'instance.start', '01a1fc47-c986-764d-abd4-7a9e0b1f5d99', '{"flow":"person","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633115095553, 1795233925514, 'token:bootstrap', 'flow.publish', 'worker', '{"hash":"9dcf0dd9a0ccb698f1dc4c8a632374463a8f2636704731a65ef925cc327cbe3c","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633144455425, 1795233925517, 'token:bootstrap', 'instance.start', '01a1fc47-c98d-77f9-90bf-28e30d376044', '{"flow":"worker","version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633144455681, 1795233925520, 'token:bootstrap', 'flow.publish', 'machine', '{"hash":"6523e6c88f3261f6fff09eaaaaca511a28af2abca8f857ec9ef8b38ae09d3def","label":null,"version":1}');
INSERT INTO stepwell_old.audit VALUES (911829633169621249, 1795233925523, 'token:bootstrap', 'instance.start', '01a1fc47-c993-7745-bc45-2227b8f5523a', '{"flow":"machine","version":1}');
INSERT INTO stepwell_old.engine VALUES (1, '01a1fc47-c5ab-751d-af8b-f560d60dc902', 2, 3561834504568833, NULL);
INSERT INTO stepwell_old.flow VALUES ('ended', 'graph', '"ended"', 1795233925396);
INSERT INTO stepwell_old.flow VALUES ('receive', 'graph', '"receive"', 1795233925421);
INSERT INTO stepwell_old.flow VALUES ('suspended', 'graph', '"suspended"', 1795233925435);
INSERT INTO stepwell_old.flow VALUES ('timer', 'graph', '"timer"', 1795233925472);
INSERT INTO stepwell_old.flow VALUES ('event', 'graph', '"event"', 1795233925484);
INSERT INTO stepwell_old.flow VALUES ('call', 'graph', '"call"', 1795233925490);
INSERT INTO stepwell_old.flow VALUES ('each', 'graph', '"each"', 1795233925498);
INSERT INTO stepwell_old.flow VALUES ('person', 'graph', '"person"', 1795233925505);
INSERT INTO stepwell_old.flow VALUES ('worker', 'graph', '"worker"', 1795233925514);
INSERT INTO stepwell_old.flow VALUES ('machine', 'machine', '"machine"', 1795233925520);
INSERT INTO stepwell_old.idempotency VALUES ('ended', 'ended', '878389a7e0e2b72ef40c1f904e353ac9364c32ce3bd2323a1a37f2dcf840c40d', 911829632687276033, 1795320325408);
INSERT INTO stepwell_old.idempotency VALUES ('receive', 'receive', '8533a2245282109c02ba1625cdba7fe57063ee71b087c6307ff5e4b6b8ffc897', 911829632758579201, 1795320325425);
INSERT INTO stepwell_old.idempotency VALUES ('suspended', 'suspended', '99598e4a4ff459b6a1df93a94ea000b179677bbd6995148dfb58ebba85561133', 911829632813105153, 1795320325438);
INSERT INTO stepwell_old.idempotency VALUES ('timer', 'timer', '5a31312f3774639e822470e40377ebf92797524505b00e54440f82fc6ee27d90', 911829632980877313, 1795320325478);
INSERT INTO stepwell_old.idempotency VALUES ('event', 'event', 'b2139bf4bf4615dba60325b322eda73b9e2efb95ab92608374e1bd9c3e913722', 911829633018626049, 1795320325487);
INSERT INTO stepwell_old.idempotency VALUES ('call', 'call', '4ff2363ceef8dae2728b1a2c293d6ba2b6bc0056145c78e6b329a5c8ab817f74', 911829633043791873, 1795320325493);
INSERT INTO stepwell_old.idempotency VALUES ('each', 'each', 'c25d7a3e29cbd5cd9cf324ee748dafbe27264615e4f99c4ba45ab404ebf67807', 911829633077346305, 1795320325501);
INSERT INTO stepwell_old.idempotency VALUES ('person', 'person', 'd41af7502d936b948fff2dbc2495d70e504f94c1c1dd822e572925602cb46294', 911829633115095041, 1795320325510);
INSERT INTO stepwell_old.idempotency VALUES ('worker', 'worker', 'e94a9cbea9d226834c923e526dd11ceba162238b5273a13e8f5ae7e3bb527ddd', 911829633144455169, 1795320325517);
INSERT INTO stepwell_old.idempotency VALUES ('machine', 'machine', 'd35cdb0b3352aa780349025a3589fb0aec895de8bcfeb38352a03844743e1479', 911829633169620993, 1795320325523);
INSERT INTO stepwell_old.instance VALUES (911829632687276033, '\x01a1fc47c9207054aa8119b181cdf0d1', 'ended', 1, 'ended', 0, 5, 1, 1, 0, NULL, 1795233925408, 1795233925408, NULL, NULL, '{"key":"ended"}', NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829632758579201, '\x01a1fc47c931742e975b2b3b877e1113', 'receive', 1, 'receive', 0, 1, 1, 1, 0, NULL, 1795233925425, 1795233925425, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829632813105153, '\x01a1fc47c93e764fa55a538a6a0cfa50', 'suspended', 1, 'suspended', 0, 3, 2, 2, 0, NULL, 1795233925438, 1795233925450, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829632980877313, '\x01a1fc47c96675b9a6bfd99e137ad1e1', 'timer', 1, 'timer', 0, 1, 1, 1, 0, 1795234045478, 1795233925478, 1795233925478, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829633018626049, '\x01a1fc47c96f7228b934d43e53e458fe', 'event', 1, 'event', 0, 1, 1, 1, 0, 1821153925487, 1795233925487, 1795233925487, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829633043791873, '\x01a1fc47c97576dcafe069f529c6d24e', 'call', 1, 'call', 0, 1, 1, 1, 0, NULL, 1795233925493, 1795233925493, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829633077346305, '\x01a1fc47c97d7660984afa2d329879ba', 'each', 1, 'each', 0, 1, 1, 1, 0, NULL, 1795233925501, 1795233925501, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829633115095041, '\x01a1fc47c986764dabd47a9e0b1f5d99', 'person', 1, 'person', 0, 1, 1, 1, 0, NULL, 1795233925510, 1795233925510, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829633144455169, '\x01a1fc47c98d77f990bf28e30d376044', 'worker', 1, 'worker', 0, 1, 1, 1, 0, NULL, 1795233925517, 1795233925517, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.instance VALUES (911829633169620993, '\x01a1fc47c9937745bc452227b8f5523a', 'machine', 1, 'machine', 0, 1, 2, 1, 0, NULL, 1795233925523, 1795233925527, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL);
INSERT INTO stepwell_old.journal VALUES (281474976710658, 911829632687276033, 1, 1, 1795233925408, 5, '[{"seq":1,"at_ms":1795233925408,"type":"started","input":{"key":"ended"},"businessKey":"ended"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710660, 911829632758579201, 1, 1, 1795233925425, 1, '[{"seq":1,"at_ms":1795233925425,"type":"started","input":{"key":"receive"},"businessKey":"receive"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710662, 911829632813105153, 1, 1, 1795233925438, 1, '[{"seq":1,"at_ms":1795233925438,"type":"started","input":{"key":"suspended"},"businessKey":"suspended"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710663, 911829632813105153, 2, 2, 1795233925450, 3, '[{"seq":2,"at_ms":1795233925450,"type":"commanded","command":"suspend","reason":"later","by":"token:bootstrap"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710665, 911829632980877313, 1, 1, 1795233925478, 1, '[{"seq":1,"at_ms":1795233925478,"type":"started","input":{"key":"timer"},"businessKey":"timer"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710667, 911829633018626049, 1, 1, 1795233925487, 1, '[{"seq":1,"at_ms":1795233925487,"type":"started","input":{"key":"event"},"businessKey":"event"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710669, 911829633043791873, 1, 1, 1795233925493, 1, '[{"seq":1,"at_ms":1795233925493,"type":"started","input":{"key":"call"},"businessKey":"call"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710671, 911829633077346305, 1, 1, 1795233925501, 1, '[{"seq":1,"at_ms":1795233925501,"type":"started","input":{"key":"each"},"businessKey":"each"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710673, 911829633115095041, 1, 1, 1795233925510, 1, '[{"seq":1,"at_ms":1795233925510,"type":"started","input":{"key":"person"},"businessKey":"person"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710675, 911829633144455169, 1, 1, 1795233925517, 1, '[{"seq":1,"at_ms":1795233925517,"type":"started","input":{"key":"worker"},"businessKey":"worker"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710677, 911829633169620993, 1, 1, 1795233925523, 0, '[{"seq":1,"at_ms":1795233925523,"type":"started","input":{"key":"machine"},"businessKey":"machine"}]');
INSERT INTO stepwell_old.journal VALUES (281474976710678, 911829633169620993, 2, 2, 1795233925527, 1, '[{"seq":2,"at_ms":1795233925527,"type":"evaluated","token":1,"revision":0}]');
INSERT INTO stepwell_old.machine_standing VALUES (911829633169620993, 'machine', 'NEW', 1795233925523);
INSERT INTO stepwell_old.meeting VALUES ('', 'ended', 1795233925385);
INSERT INTO stepwell_old.meeting VALUES ('', 'receive', 1795233925408);
INSERT INTO stepwell_old.meeting VALUES ('go', 'receive', 1795233925425);
INSERT INTO stepwell_old.meeting VALUES ('', 'suspended', 1795233925425);
INSERT INTO stepwell_old.meeting VALUES ('go', 'suspended', 1795233925450);
INSERT INTO stepwell_old.meeting VALUES ('', 'timer', 1795233925450);
INSERT INTO stepwell_old.meeting VALUES ('', 'event', 1795233925480);
INSERT INTO stepwell_old.meeting VALUES ('go', 'event', 1795233925487);
INSERT INTO stepwell_old.meeting VALUES ('', 'call', 1795233925487);
INSERT INTO stepwell_old.meeting VALUES ('go', 'call', 1795233925493);
INSERT INTO stepwell_old.meeting VALUES ('', 'each', 1795233925493);
INSERT INTO stepwell_old.meeting VALUES ('go', 'each-1', 1795233925501);
INSERT INTO stepwell_old.meeting VALUES ('go', 'each-2', 1795233925501);
INSERT INTO stepwell_old.meeting VALUES ('', 'person', 1795233925501);
INSERT INTO stepwell_old.meeting VALUES ('', 'worker', 1795233925510);
INSERT INTO stepwell_old.meeting VALUES ('', '/plugins/', 1795233925517);
INSERT INTO stepwell_old.meeting VALUES ('', '/t/', 1795233925517);
INSERT INTO stepwell_old.meeting VALUES ('', 'machine', 1795233925517);
INSERT INTO stepwell_old.meeting VALUES ('go', 'machine', 1795233925527);
INSERT INTO stepwell_old.migration VALUES (1, '0001-instances', '1e0f5c951e5f7a6c2e05e26df675d36d22bbfac70007f4a6e5ceea8cc4835134');
INSERT INTO stepwell_old.migration VALUES (2, '0002-administration', '57f192f929103fe600d81a768f6619c51229b21eaaaa56062e78e3e91c3bbabc');
INSERT INTO stepwell_old.migration VALUES (3, '0003-many-engines', '601313894acfb2895e1e02c70d8c9788c970cd4094ee102808e503e7651dd85e');
INSERT INTO stepwell_old.migration VALUES (4, '0004-bindings', 'dacb92f32e45864f31bfbfcde6784f370f60766bd6650680e9f7782e6ed82703');
INSERT INTO stepwell_old.migration VALUES (5, '0005-schedules', '828eba8d3a0d74bf171a09ee2dcf1b4258edd59a3be520c784fe765c297a8892');
INSERT INTO stepwell_old.migration VALUES (6, '0006-pauses', '5c63a040acf4a296dc39d149250bf1bbcbcc53ad71f3de8d54b8edd5952f49cc');
INSERT INTO stepwell_old.migration VALUES (7, '0007-tasks', '0eb0de2d7e53a98685174462d7a7dbe77ec6c7a3b56dc8c551fa288a7e4aada4');
INSERT INTO stepwell_old.migration VALUES (8, '0008-forgetting', '55ab2b1144841c381a134e7624d9cd747c84dcc18dc4858df59fddc5558756d2');
INSERT INTO stepwell_old.migration VALUES (9, '0009-records', 'b8c55b5194b87ca6a7f0577077d212be72f2f2e24406930ef94241243034afd0');
INSERT INTO stepwell_old.migration VALUES (10, '0010-users', '7fddfb27476dc1f7863f56be5f4a280c4b3affdae0f636f6cfe18fddd3092fd8');
INSERT INTO stepwell_old.migration VALUES (11, '0011-grants', 'b83b20cb432b658f8f599d5648861c95b4640d9d3fef85564f607f7872117641');
INSERT INTO stepwell_old.migration VALUES (12, '0012-uploads', 'b459ec4064a156e8c55f94cc886b99c1a33a95b340f75f23cdd0ee5df3647d86');
INSERT INTO stepwell_old.migration VALUES (13, '0013-machines', 'de2ab9a8c4259a194858befa88cbf260a48f98a8a00c900c77c2e99ce85a7d77');
INSERT INTO stepwell_old.notice VALUES (281474976710657, 1795233925396, '{"kind":"published","flow":"ended","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710659, 1795233925421, '{"kind":"published","flow":"receive","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710661, 1795233925435, '{"kind":"published","flow":"suspended","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710664, 1795233925472, '{"kind":"published","flow":"timer","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710666, 1795233925484, '{"kind":"published","flow":"event","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710668, 1795233925490, '{"kind":"published","flow":"call","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710670, 1795233925498, '{"kind":"published","flow":"each","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710672, 1795233925505, '{"kind":"published","flow":"person","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710674, 1795233925514, '{"kind":"published","flow":"worker","version":1}');
INSERT INTO stepwell_old.notice VALUES (281474976710676, 1795233925520, '{"kind":"published","flow":"machine","version":1}');
INSERT INTO stepwell_old.setting VALUES ('engine', '"01a1fc47-c901-723c-9756-6cc3d8577e1f"');
INSERT INTO stepwell_old.snapshot VALUES (911829632758579201, '{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"receive","priority":0,"seq":1,"started_ms":1795233925425,"now_ms":1795233925425,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233925425,"at":{"waiting":{"message":"go","key":"receive","due_ms":null,"visit":null}}}},"next_token":2}}');
INSERT INTO stepwell_old.snapshot VALUES (911829632813105153, '{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"suspended","priority":0,"seq":2,"started_ms":1795233925438,"now_ms":1795233925450,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233925438,"at":{"waiting":{"message":"go","key":"suspended","due_ms":null,"visit":null}}}},"next_token":2,"suspended":true}}');
INSERT INTO stepwell_old.snapshot VALUES (911829632980877313, '{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"timer","priority":0,"seq":1,"started_ms":1795233925478,"now_ms":1795233925478,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233925478,"at":{"timer":{"due_ms":1795234045478}}}},"next_token":2}}');
INSERT INTO stepwell_old.snapshot VALUES (911829633018626049, '{"form":3,"nodes":{"0":"come","2":"late"},"instance":{"version":1,"business_key":"event","priority":0,"seq":1,"started_ms":1795233925487,"now_ms":1795233925487,"scopes":{"0":{"input":{"r":1},"visits":{"come":1,"late":1,"start":1,"wait":1}}},"next_scope":1,"tokens":{"2":{"node":0,"visit":1,"since_ms":1795233925487,"at":{"waiting":{"message":"go","key":"event","due_ms":null,"visit":null}},"race":1},"3":{"node":2,"visit":1,"since_ms":1795233925487,"at":{"timer":{"due_ms":1821153925487}},"race":1}},"next_token":4}}');
INSERT INTO stepwell_old.snapshot VALUES (911829633043791873, '{"form":3,"nodes":{"2":"wait","5":"receive@1:wait"},"instance":{"version":1,"business_key":"call","priority":0,"seq":1,"started_ms":1795233925493,"now_ms":1795233925493,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":2,"host":1},"path":"wait.1/","input":{"v":{"key":"call"}},"visits":{"start":1,"wait":1}}},"next_scope":2,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233925493,"at":"inside"},"2":{"scope":1,"node":5,"visit":1,"since_ms":1795233925493,"at":{"waiting":{"message":"go","key":"call","due_ms":null,"visit":null}}}},"next_token":3}}');
INSERT INTO stepwell_old.snapshot VALUES (911829633077346305, '{"form":3,"nodes":{"1":"inner","3":"wait"},"instance":{"version":1,"business_key":"each","priority":0,"seq":1,"started_ms":1795233925501,"now_ms":1795233925501,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":3,"host":1},"path":"wait.1/","progress":{"items":{"v":["each-1","each-2","each-3"]},"next":2,"open":2,"results":{}}},"2":{"within":{"scope":1,"node":3,"host":1,"item":{"index":0,"value":{"v":"each-1"}}},"path":"wait.1/0/","visits":{"inner":1}},"3":{"within":{"scope":1,"node":3,"host":1,"item":{"index":1,"value":{"v":"each-2"}}},"path":"wait.1/1/","visits":{"inner":1}}},"next_scope":4,"tokens":{"1":{"node":3,"visit":1,"since_ms":1795233925501,"at":"inside"},"2":{"scope":2,"node":1,"visit":1,"since_ms":1795233925501,"at":{"waiting":{"message":"go","key":"each-1","due_ms":null,"visit":null}}},"3":{"scope":3,"node":1,"visit":1,"since_ms":1795233925501,"at":{"waiting":{"message":"go","key":"each-2","due_ms":null,"visit":null}}}},"next_token":4}}');
INSERT INTO stepwell_old.snapshot VALUES (911829633115095041, '{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"person","priority":0,"seq":1,"started_ms":1795233925510,"now_ms":1795233925510,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233925510,"at":{"open":{"visit":{"op":"run","attempt":1,"tries":1,"key":"01a1fc47-c986-764d-abd4-7a9e0b1f5d99.wait.1","input":{"v":{"assignee":null,"data":{},"dueAt":null,"groups":[],"users":["ada"]}},"maybe_done":false},"due_ms":null}}}},"next_token":2}}');
INSERT INTO stepwell_old.snapshot VALUES (911829633144455169, '{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"worker","priority":0,"seq":1,"started_ms":1795233925517,"now_ms":1795233925517,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233925517,"at":{"open":{"visit":{"op":"run","attempt":1,"tries":1,"key":"01a1fc47-c98d-77f9-90bf-28e30d376044.wait.1","input":{"v":{}},"maybe_done":true},"due_ms":null}}}},"next_token":2}}');
INSERT INTO stepwell_old.snapshot VALUES (911829633169620993, '{"form":3,"nodes":{"1":"evaluate"},"instance":{"version":1,"business_key":"machine","priority":0,"seq":2,"started_ms":1795233925523,"now_ms":1795233925527,"scopes":{"0":{"input":{"r":1},"visits":{"evaluate":1,"start":1},"machine":{"state":"NEW","since_ms":1795233925523,"revision":0,"evaluated":true,"rounds":0}}},"next_scope":1,"tokens":{"2":{"node":1,"visit":1,"since_ms":1795233925527,"at":"resting"},"3":{"node":1,"visit":1,"since_ms":1795233925527,"at":{"guard":{"host":2,"port":"go","wait":{"message":{"message":"go","key":"machine","due_ms":null}}}}}},"next_token":4}}');
INSERT INTO stepwell_old.subscription VALUES ('go', 'receive', 911829632758579201);
INSERT INTO stepwell_old.subscription VALUES ('go', 'event', 911829633018626049);
INSERT INTO stepwell_old.subscription VALUES ('go', 'call', 911829633043791873);
INSERT INTO stepwell_old.subscription VALUES ('go', 'each-1', 911829633077346305);
INSERT INTO stepwell_old.subscription VALUES ('go', 'each-2', 911829633077346305);
INSERT INTO stepwell_old.subscription VALUES ('go', 'machine', 911829633169620993);
INSERT INTO stepwell_old.tally VALUES ('ended', 1, 5, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('receive', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('suspended', 1, 1, 1, 0);
INSERT INTO stepwell_old.tally VALUES ('suspended', 1, 3, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('timer', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('event', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('call', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('each', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('person', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('worker', 1, 1, 1, 1);
INSERT INTO stepwell_old.tally VALUES ('machine', 1, 0, 1, 0);
INSERT INTO stepwell_old.tally VALUES ('machine', 1, 1, 1, 1);
INSERT INTO stepwell_old.task VALUES (911829633115095041, 1, 1, 1, 'wait', 'wait', NULL, '{"assignee":null,"data":{},"dueAt":null,"groups":[],"users":["ada"]}', 1795233925510, NULL, NULL, NULL, '["ada"]', '[]', NULL, NULL, NULL);
INSERT INTO stepwell_old.task VALUES (911829633144455169, 1, 1, 1, 'wait', 'wait', 'work', '{}', 1795233925517, NULL, NULL, NULL, '[]', '[]', NULL, NULL, '01a1fc47-c98d-77f9-90bf-28e30d376044.wait.1');
INSERT INTO stepwell_old.version VALUES ('ended', 1, 'e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd', NULL, 1795233925396, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"ended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"type":"set","vars":{"a":1}}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('receive', 1, 'f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653', NULL, 1795233925421, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('suspended', 1, 'f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a', NULL, 1795233925435, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"suspended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('timer', 1, 'b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0', NULL, 1795233925472, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"timer","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"after":"2m","type":"timer"}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('event', 1, '2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969', NULL, 1795233925484, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"come"},{"from":"wait","to":"late"},{"from":"come","to":"end"},{"from":"late","to":"end"}],"key":"event","kind":"graph","nodes":{"come":{"key":"=input.key","message":"go","type":"receive"},"end":{"output":{"key":"=input.key"},"type":"end"},"late":{"after":"300d","type":"timer"},"start":{"type":"start"},"wait":{"type":"event-gateway"}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('call', 1, '690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c', NULL, 1795233925490, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"call","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"flow":"receive","type":"call","with":{"key":"=input.key"}}},"stepwell":1}', '{"flows":{"receive":{"catalog":{"nodeTypes":{}},"document":{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1},"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","key":"receive","version":1}},"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('each', 1, 'dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced', NULL, 1795233925498, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"each","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"inner":{"in":"wait","key":"=item","message":"go","type":"receive"},"start":{"type":"start"},"wait":{"items":["each-1","each-2","each-3"],"limit":2,"output":"=item","type":"for-each"}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('person', 1, '7ce57a657b64509fbeff45a04d958d1c98228b4821551beda755663682c55f77', NULL, 1795233925505, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"person","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"type":"user-task","users":["ada"]}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('worker', 1, '9dcf0dd9a0ccb698f1dc4c8a632374463a8f2636704731a65ef925cc327cbe3c', NULL, 1795233925514, 'token:bootstrap', '{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"worker","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"topic":"work","type":"external-task"}},"stepwell":1}', '{"nodeTypes":{}}', NULL);
INSERT INTO stepwell_old.version VALUES ('machine', 1, '6523e6c88f3261f6fff09eaaaaca511a28af2abca8f857ec9ef8b38ae09d3def', NULL, 1795233925520, 'token:bootstrap', '{"actions":[{"name":"go","next":"DONE","on":{"key":"=input.key","message":"go"},"states":["NEW"]}],"businessKey":"=input.key","initial":"NEW","key":"machine","kind":"machine","output":{"key":"=input.key"},"states":[{"code":"NEW"},{"code":"DONE","terminal":true}],"stepwell":1}', '{"nodeTypes":{}}', NULL);
ALTER TABLE ONLY stepwell_old.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (name);
ALTER TABLE ONLY stepwell_old.api_token
    ADD CONSTRAINT api_token_digest_key UNIQUE (digest);
ALTER TABLE ONLY stepwell_old.api_token
    ADD CONSTRAINT api_token_pkey PRIMARY KEY (id);
ALTER TABLE ONLY stepwell_old.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (n);
ALTER TABLE ONLY stepwell_old.binding
    ADD CONSTRAINT binding_pkey PRIMARY KEY (flow);
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
ALTER TABLE ONLY stepwell_old.machine_action
    ADD CONSTRAINT machine_action_pkey PRIMARY KEY (flow, version, revision);
ALTER TABLE ONLY stepwell_old.machine_standing
    ADD CONSTRAINT machine_standing_pkey PRIMARY KEY (instance);
ALTER TABLE ONLY stepwell_old.meeting
    ADD CONSTRAINT meeting_pkey PRIMARY KEY (message, key);
ALTER TABLE ONLY stepwell_old.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number);
ALTER TABLE ONLY stepwell_old.notice
    ADD CONSTRAINT notice_pkey PRIMARY KEY (n);
ALTER TABLE ONLY stepwell_old.passed
    ADD CONSTRAINT passed_pkey PRIMARY KEY (engine);
ALTER TABLE ONLY stepwell_old.pause
    ADD CONSTRAINT pause_pkey PRIMARY KEY (kind, name);
ALTER TABLE ONLY stepwell_old.plugin_grant
    ADD CONSTRAINT plugin_grant_pkey1 PRIMARY KEY (plugin, namespace, kind, name);
ALTER TABLE ONLY stepwell_old.plugin
    ADD CONSTRAINT plugin_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY stepwell_old.published_file
    ADD CONSTRAINT published_file_pkey PRIMARY KEY (flow, content);
ALTER TABLE ONLY stepwell_old.ran_before
    ADD CONSTRAINT ran_before_pkey PRIMARY KEY (flow, version, instance);
ALTER TABLE ONLY stepwell_old.record
    ADD CONSTRAINT record_pkey PRIMARY KEY (type, id);
ALTER TABLE ONLY stepwell_old.record_type
    ADD CONSTRAINT record_type_pkey PRIMARY KEY (key, version);
ALTER TABLE ONLY stepwell_old.revocation
    ADD CONSTRAINT revocation_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY stepwell_old.role_given
    ADD CONSTRAINT role_given_pkey PRIMARY KEY (kind, holder, namespace);
ALTER TABLE ONLY stepwell_old.route
    ADD CONSTRAINT route_pkey PRIMARY KEY (path);
ALTER TABLE ONLY stepwell_old.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (flow, name);
ALTER TABLE ONLY stepwell_old.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (name);
ALTER TABLE ONLY stepwell_old.seen
    ADD CONSTRAINT seen_pkey PRIMARY KEY (message, id);
ALTER TABLE ONLY stepwell_old.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY stepwell_old.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (name);
ALTER TABLE ONLY stepwell_old.snapshot
    ADD CONSTRAINT snapshot_pkey PRIMARY KEY (instance);
ALTER TABLE ONLY stepwell_old.subscription
    ADD CONSTRAINT subscription_pkey PRIMARY KEY (message, key, instance);
ALTER TABLE ONLY stepwell_old.tally_by_choice
    ADD CONSTRAINT tally_by_choice_pkey PRIMARY KEY (flow, version, bound_by, state, engine);
ALTER TABLE ONLY stepwell_old.tally
    ADD CONSTRAINT tally_by_engine_pkey PRIMARY KEY (flow, version, state, engine);
ALTER TABLE ONLY stepwell_old.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (instance, token);
ALTER TABLE ONLY stepwell_old.upload
    ADD CONSTRAINT upload_pkey PRIMARY KEY (id);
ALTER TABLE ONLY stepwell_old.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (flow, version);
CREATE INDEX api_token_by_owner ON stepwell_old.api_token USING btree (owner);
CREATE INDEX audit_by_target ON stepwell_old.audit USING btree (target, n);
CREATE INDEX http_trigger_by_flow ON stepwell_old.http_trigger USING btree (flow);
CREATE INDEX idempotency_by_expiry ON stepwell_old.idempotency USING btree (expires_ms);
CREATE INDEX idempotency_by_instance ON stepwell_old.idempotency USING btree (instance);
CREATE INDEX inbox_by_expiry ON stepwell_old.inbox USING btree (expires_ms) WHERE (expires_ms IS NOT NULL);
CREATE INDEX inbox_by_instance ON stepwell_old.inbox USING btree (instance) WHERE (instance IS NOT NULL);
CREATE INDEX inbox_by_message ON stepwell_old.inbox USING btree (message, key) WHERE (message IS NOT NULL);
CREATE INDEX instance_by_business_key ON stepwell_old.instance USING btree (business_key) WHERE (business_key IS NOT NULL);
CREATE INDEX instance_by_flow ON stepwell_old.instance USING btree (flow, n, version);
CREATE INDEX instance_by_forget ON stepwell_old.instance USING btree (forget_ms) WHERE (forget_ms IS NOT NULL);
CREATE INDEX instance_by_state ON stepwell_old.instance USING btree (state, n, flow, version) WHERE (state <> 5);
CREATE INDEX instance_by_wake ON stepwell_old.instance USING btree (owner, wake_ms, priority) WHERE (state <= 4);
CREATE UNIQUE INDEX instance_one_ever ON stepwell_old.instance USING btree (flow, business_key) WHERE (unique_key = 2);
CREATE UNIQUE INDEX instance_one_live ON stepwell_old.instance USING btree (flow, business_key) WHERE ((unique_key >= 1) AND (state <= 4));
CREATE INDEX journal_by_instance ON stepwell_old.journal USING btree (instance, first_seq);
CREATE INDEX machine_standing_by_state ON stepwell_old.machine_standing USING btree (flow, state, since_ms);
CREATE INDEX meeting_by_touch ON stepwell_old.meeting USING btree (touched_ms);
CREATE INDEX plugin_by_name ON stepwell_old.plugin USING btree (name, version);
CREATE INDEX plugin_grant_by_name ON stepwell_old.plugin_grant USING btree (kind, name);
CREATE INDEX ran_before_by_instance ON stepwell_old.ran_before USING btree (instance);
CREATE INDEX record_by_status ON stepwell_old.record USING btree (type, status_code, id);
CREATE INDEX schedule_by_due ON stepwell_old.schedule USING btree (due_ms) WHERE (paused = 0);
CREATE INDEX seen_by_expiry ON stepwell_old.seen USING btree (expires_ms);
CREATE INDEX session_by_account ON stepwell_old.session USING btree (account);
CREATE INDEX session_by_end ON stepwell_old.session USING btree (ends_ms);
CREATE INDEX subscription_by_instance ON stepwell_old.subscription USING btree (instance);
CREATE INDEX task_by_topic ON stepwell_old.task USING btree (topic, since_ms);
CREATE INDEX upload_by_time ON stepwell_old.upload USING btree (at_ms);
ALTER TABLE ONLY stepwell_old.api_token
    ADD CONSTRAINT api_token_owner_fkey FOREIGN KEY (owner) REFERENCES stepwell_old.account(name);
ALTER TABLE ONLY stepwell_old.binding
    ADD CONSTRAINT binding_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
ALTER TABLE ONLY stepwell_old.draft
    ADD CONSTRAINT draft_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
ALTER TABLE ONLY stepwell_old.http_trigger
    ADD CONSTRAINT http_trigger_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
ALTER TABLE ONLY stepwell_old.instance
    ADD CONSTRAINT instance_flow_version_fkey FOREIGN KEY (flow, version) REFERENCES stepwell_old.version(flow, version);
ALTER TABLE ONLY stepwell_old.schedule
    ADD CONSTRAINT schedule_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
ALTER TABLE ONLY stepwell_old.session
    ADD CONSTRAINT session_account_fkey FOREIGN KEY (account) REFERENCES stepwell_old.account(name);
ALTER TABLE ONLY stepwell_old.version
    ADD CONSTRAINT version_flow_fkey FOREIGN KEY (flow) REFERENCES stepwell_old.flow(key);
