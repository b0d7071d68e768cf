pragma foreign_keys = off;
begin;
CREATE TABLE migration (number integer primary key, name text not null, sha256 text not null) strict;
insert into migration values (1,'0001-instances','1e0f5c951e5f7a6c2e05e26df675d36d22bbfac70007f4a6e5ceea8cc4835134');
insert into migration values (2,'0002-administration','57f192f929103fe600d81a768f6619c51229b21eaaaa56062e78e3e91c3bbabc');
insert into migration values (3,'0003-many-engines','97a53dcd1c4e551bfc2d92d4de278549d2dd774536b97ce981da738b78a4006a');
insert into migration values (4,'0004-bindings','dacb92f32e45864f31bfbfcde6784f370f60766bd6650680e9f7782e6ed82703');
insert into migration values (5,'0005-schedules','828eba8d3a0d74bf171a09ee2dcf1b4258edd59a3be520c784fe765c297a8892');
CREATE TABLE flow (
    key text primary key,
    kind text not null,
    title text not null check (json_valid(title)),
    updated_ms integer not null
) strict, without rowid;
insert into flow values ('call','graph','"call"',1795205855548);
insert into flow values ('each','graph','"each"',1795205855566);
insert into flow values ('ended','graph','"ended"',1795205855469);
insert into flow values ('event','graph','"event"',1795205855538);
insert into flow values ('receive','graph','"receive"',1795205855496);
insert into flow values ('suspended','graph','"suspended"',1795205855505);
insert into flow values ('timer','graph','"timer"',1795205855532);
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
    catalog text not null check (json_valid(catalog)), retired_ms integer,
    primary key (flow, version)
) strict;
insert into version values ('ended',1,'e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd',NULL,1795205855469,'admin','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"ended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"type":"set","vars":{"a":1}}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('receive',1,'f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653',NULL,1795205855496,'admin','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('suspended',1,'f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a',NULL,1795205855505,'admin','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"suspended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('timer',1,'b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0',NULL,1795205855532,'admin','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"timer","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"after":"2m","type":"timer"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('event',1,'2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969',NULL,1795205855538,'admin','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"come"},{"from":"wait","to":"late"},{"from":"come","to":"end"},{"from":"late","to":"end"}],"key":"event","kind":"graph","nodes":{"come":{"key":"=input.key","message":"go","type":"receive"},"end":{"output":{"key":"=input.key"},"type":"end"},"late":{"after":"300d","type":"timer"},"start":{"type":"start"},"wait":{"type":"event-gateway"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('call',1,'690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c',NULL,1795205855548,'admin','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"call","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"flow":"receive","type":"call","with":{"key":"=input.key"}}},"stepwell":1}','{"flows":{"receive":{"catalog":{"nodeTypes":{}},"document":{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1},"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","key":"receive","version":1}},"nodeTypes":{}}',NULL);
insert into version values ('each',1,'dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced',NULL,1795205855566,'admin','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"each","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"inner":{"in":"wait","key":"=item","message":"go","type":"receive"},"start":{"type":"start"},"wait":{"items":["each-1","each-2","each-3"],"limit":2,"output":"=item","type":"for-each"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
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
    traceparent text, bound_by text, unique_key integer not null default 0 check (unique_key between 0 and 2),
    foreign key (flow, version) references version (flow, version),
    check (owner = 0 or wake_ms is null),
    check (state <= 4 or (owner = 0 and wake_ms is null))
) strict;
insert into instance values (3,X'01A1FA9B7904768BB492C4E0A8AAD97A','ended',1,'ended',0,5,1,1,0,NULL,1795205855492,1795205855492,NULL,NULL,'{"key":"ended"}',NULL,NULL,0);
insert into instance values (8,X'01A1FA9B790E733DAED818375295E73B','receive',1,'receive',0,1,1,1,0,NULL,1795205855502,1795205855502,NULL,NULL,NULL,NULL,NULL,0);
insert into instance values (13,X'01A1FA9B791375739F318E45CFA0FCF1','suspended',1,'suspended',0,3,2,2,0,NULL,1795205855507,1795205855518,NULL,NULL,NULL,NULL,NULL,0);
insert into instance values (21,X'01A1FA9B792E76CEA9229B425B880DAF','timer',1,'timer',0,1,1,1,0,1795205975534,1795205855534,1795205855534,NULL,NULL,NULL,NULL,NULL,0);
insert into instance values (26,X'01A1FA9B79397193869798778D66CA65','event',1,'event',0,1,1,1,0,1821125855545,1795205855545,1795205855545,NULL,NULL,NULL,NULL,NULL,0);
insert into instance values (31,X'01A1FA9B794B72BD9DEA906AE9D7E43C','call',1,'call',0,1,1,1,0,NULL,1795205855563,1795205855563,NULL,NULL,NULL,NULL,NULL,0);
insert into instance values (36,X'01A1FA9B795076B7999946CB0BFE74EA','each',1,'each',0,1,1,1,0,NULL,1795205855568,1795205855568,NULL,NULL,NULL,NULL,NULL,0);
CREATE TABLE snapshot (
    instance integer primary key references instance (n),
    body text not null
) strict;
insert into snapshot values (8,'{"form":2,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"receive","priority":0,"seq":1,"started_ms":1795205855502,"now_ms":1795205855502,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205855502,"at":{"waiting":{"message":"go","key":"receive","due_ms":null,"visit":null}}}},"next_token":2}}');
insert into snapshot values (13,'{"form":2,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"suspended","priority":0,"seq":2,"started_ms":1795205855507,"now_ms":1795205855518,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205855507,"at":{"waiting":{"message":"go","key":"suspended","due_ms":null,"visit":null}}}},"next_token":2,"suspended":true}}');
insert into snapshot values (21,'{"form":2,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"timer","priority":0,"seq":1,"started_ms":1795205855534,"now_ms":1795205855534,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205855534,"at":{"timer":{"due_ms":1795205975534}}}},"next_token":2}}');
insert into snapshot values (26,'{"form":2,"nodes":{"0":"come","2":"late"},"instance":{"version":1,"business_key":"event","priority":0,"seq":1,"started_ms":1795205855545,"now_ms":1795205855545,"scopes":{"0":{"input":{"r":1},"visits":{"come":1,"late":1,"start":1,"wait":1}}},"next_scope":1,"tokens":{"2":{"node":0,"visit":1,"since_ms":1795205855545,"at":{"waiting":{"message":"go","key":"event","due_ms":null,"visit":null}},"race":1},"3":{"node":2,"visit":1,"since_ms":1795205855545,"at":{"timer":{"due_ms":1821125855545}},"race":1}},"next_token":4}}');
insert into snapshot values (31,'{"form":2,"nodes":{"2":"wait","5":"receive@1:wait"},"instance":{"version":1,"business_key":"call","priority":0,"seq":1,"started_ms":1795205855563,"now_ms":1795205855563,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":2,"host":1},"path":"wait.1/","input":{"v":{"key":"call"}},"visits":{"start":1,"wait":1}}},"next_scope":2,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795205855563,"at":"inside"},"2":{"scope":1,"node":5,"visit":1,"since_ms":1795205855563,"at":{"waiting":{"message":"go","key":"call","due_ms":null,"visit":null}}}},"next_token":3}}');
insert into snapshot values (36,'{"form":2,"nodes":{"1":"inner","3":"wait"},"instance":{"version":1,"business_key":"each","priority":0,"seq":1,"started_ms":1795205855568,"now_ms":1795205855568,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":3,"host":1},"path":"wait.1/","progress":{"items":{"v":["each-1","each-2","each-3"]},"next":2,"open":2,"results":{}}},"2":{"within":{"scope":1,"node":3,"host":1,"item":{"index":0,"value":{"v":"each-1"}}},"path":"wait.1/0/","visits":{"inner":1}},"3":{"within":{"scope":1,"node":3,"host":1,"item":{"index":1,"value":{"v":"each-2"}}},"path":"wait.1/1/","visits":{"inner":1}}},"next_scope":4,"tokens":{"1":{"node":3,"visit":1,"since_ms":1795205855568,"at":"inside"},"2":{"scope":2,"node":1,"visit":1,"since_ms":1795205855568,"at":{"waiting":{"message":"go","key":"each-1","due_ms":null,"visit":null}}},"3":{"scope":3,"node":1,"visit":1,"since_ms":1795205855568,"at":{"waiting":{"message":"go","key":"each-2","due_ms":null,"visit":null}}}},"next_token":4}}');
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
insert into journal values (5,3,1,1,1795205855492,5,'[{"seq":1,"at_ms":1795205855492,"type":"started","input":{"key":"ended"},"businessKey":"ended"}]');
insert into journal values (10,8,1,1,1795205855502,1,'[{"seq":1,"at_ms":1795205855502,"type":"started","input":{"key":"receive"},"businessKey":"receive"}]');
insert into journal values (15,13,1,1,1795205855507,1,'[{"seq":1,"at_ms":1795205855507,"type":"started","input":{"key":"suspended"},"businessKey":"suspended"}]');
insert into journal values (18,13,2,2,1795205855518,3,'[{"seq":2,"at_ms":1795205855518,"type":"commanded","command":"suspend","reason":"later","by":"admin"}]');
insert into journal values (23,21,1,1,1795205855534,1,'[{"seq":1,"at_ms":1795205855534,"type":"started","input":{"key":"timer"},"businessKey":"timer"}]');
insert into journal values (28,26,1,1,1795205855545,1,'[{"seq":1,"at_ms":1795205855545,"type":"started","input":{"key":"event"},"businessKey":"event"}]');
insert into journal values (33,31,1,1,1795205855563,1,'[{"seq":1,"at_ms":1795205855563,"type":"started","input":{"key":"call"},"businessKey":"call"}]');
insert into journal values (38,36,1,1,1795205855568,1,'[{"seq":1,"at_ms":1795205855568,"type":"started","input":{"key":"each"},"businessKey":"each"}]');
CREATE TABLE idempotency (
    flow text not null,
    key text not null,
    -- The sha256 of what was asked.
    request text not null,
    instance integer not null references instance (n),
    expires_ms integer not null,
    primary key (flow, key)
) strict, without rowid;
insert into idempotency values ('call','call','4ff2363ceef8dae2728b1a2c293d6ba2b6bc0056145c78e6b329a5c8ab817f74',31,1795292255563);
insert into idempotency values ('each','each','c25d7a3e29cbd5cd9cf324ee748dafbe27264615e4f99c4ba45ab404ebf67807',36,1795292255568);
insert into idempotency values ('ended','ended','878389a7e0e2b72ef40c1f904e353ac9364c32ce3bd2323a1a37f2dcf840c40d',3,1795292255492);
insert into idempotency values ('event','event','b2139bf4bf4615dba60325b322eda73b9e2efb95ab92608374e1bd9c3e913722',26,1795292255545);
insert into idempotency values ('receive','receive','8533a2245282109c02ba1625cdba7fe57063ee71b087c6307ff5e4b6b8ffc897',8,1795292255502);
insert into idempotency values ('suspended','suspended','99598e4a4ff459b6a1df93a94ea000b179677bbd6995148dfb58ebba85561133',13,1795292255507);
insert into idempotency values ('timer','timer','5a31312f3774639e822470e40377ebf92797524505b00e54440f82fc6ee27d90',21,1795292255534);
CREATE TABLE subscription (
    message text not null,
    key text not null,
    instance integer not null references instance (n),
    primary key (message, key, instance)
) strict, without rowid;
insert into subscription values ('go','receive',8);
insert into subscription values ('go','event',26);
insert into subscription values ('go','call',31);
insert into subscription values ('go','each-1',36);
insert into subscription values ('go','each-2',36);
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
insert into setting values ('engine','"01a1fa9b-78e9-73d8-8a3d-0c7401113cb3"');
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
insert into audit values (1,1795205855469,'admin','flow.publish','ended','{"hash":"e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd","label":null,"version":1}');
insert into audit values (4,1795205855492,'admin','instance.start','01a1fa9b-7904-768b-b492-c4e0a8aad97a','{"flow":"ended","version":1}');
insert into audit values (6,1795205855496,'admin','flow.publish','receive','{"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","label":null,"version":1}');
insert into audit values (9,1795205855502,'admin','instance.start','01a1fa9b-790e-733d-aed8-18375295e73b','{"flow":"receive","version":1}');
insert into audit values (11,1795205855505,'admin','flow.publish','suspended','{"hash":"f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a","label":null,"version":1}');
insert into audit values (14,1795205855507,'admin','instance.start','01a1fa9b-7913-7573-9f31-8e45cfa0fcf1','{"flow":"suspended","version":1}');
insert into audit values (17,1795205855511,'admin','instance.suspend','01a1fa9b-7913-7573-9f31-8e45cfa0fcf1','{"command":"suspend","reason":"later"}');
insert into audit values (19,1795205855532,'admin','flow.publish','timer','{"hash":"b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0","label":null,"version":1}');
insert into audit values (22,1795205855534,'admin','instance.start','01a1fa9b-792e-76ce-a922-9b425b880daf','{"flow":"timer","version":1}');
insert into audit values (24,1795205855538,'admin','flow.publish','event','{"hash":"2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969","label":null,"version":1}');
insert into audit values (27,1795205855545,'admin','instance.start','01a1fa9b-7939-7193-8697-98778d66ca65','{"flow":"event","version":1}');
insert into audit values (29,1795205855548,'admin','flow.publish','call','{"hash":"690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c","label":null,"version":1}');
insert into audit values (32,1795205855563,'admin','instance.start','01a1fa9b-794b-72bd-9dea-906ae9d7e43c','{"flow":"call","version":1}');
insert into audit values (34,1795205855566,'admin','flow.publish','each','{"hash":"dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced","label":null,"version":1}');
insert into audit values (37,1795205855568,'admin','instance.start','01a1fa9b-7950-76b7-9999-46cb0bfe74ea','{"flow":"each","version":1}');
CREATE TABLE notice (
    n integer primary key,
    at_ms integer not null,
    body text not null check (json_valid(body))
) strict;
insert into notice values (2,1795205855469,'{"kind":"published","flow":"ended","version":1}');
insert into notice values (7,1795205855496,'{"kind":"published","flow":"receive","version":1}');
insert into notice values (12,1795205855505,'{"kind":"published","flow":"suspended","version":1}');
insert into notice values (20,1795205855532,'{"kind":"published","flow":"timer","version":1}');
insert into notice values (25,1795205855538,'{"kind":"published","flow":"event","version":1}');
insert into notice values (30,1795205855548,'{"kind":"published","flow":"call","version":1}');
insert into notice values (35,1795205855566,'{"kind":"published","flow":"each","version":1}');
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
CREATE TABLE "tally" (
    flow text not null,
    version integer not null,
    state integer not null check (state between 0 and 8),
    engine integer not null,
    instances integer not null,
    primary key (flow, version, state, engine)
) strict, without rowid;
insert into tally values ('call',1,1,1,1);
insert into tally values ('each',1,1,1,1);
insert into tally values ('ended',1,5,1,1);
insert into tally values ('event',1,1,1,1);
insert into tally values ('receive',1,1,1,1);
insert into tally values ('suspended',1,1,1,0);
insert into tally values ('suspended',1,3,1,1);
insert into tally values ('timer',1,1,1,1);
CREATE TABLE binding (
    flow text primary key references flow (key),
    -- As the API takes it.
    spec text not null check (json_valid(spec)),
    revision integer not null check (revision > 0),
    updated_ms integer not null,
    updated_by text not null
) strict, without rowid;
CREATE TABLE route (
    path text primary key,
    spec text not null check (json_valid(spec)),
    revision integer not null check (revision > 0),
    updated_ms integer not null,
    updated_by text not null
) strict, without rowid;
CREATE TABLE tally_by_choice (
    flow text not null,
    version integer not null,
    bound_by text not null,
    state integer not null check (state between 0 and 8),
    engine integer not null,
    instances integer not null,
    primary key (flow, version, bound_by, state, engine)
) strict, without rowid;
CREATE TABLE schedule (
    flow text not null references flow (key),
    -- Unique within the flow; what is known of it stays with the name from version to version.
    name text not null,
    version integer not null,
    -- Cron and time zone: while they stay, so does the time it is due.
    spec text not null,
    -- Null: never again.
    due_ms integer,
    paused integer not null check (paused in (0, 1)),
    -- What came of it last.
    last text check (last is null or json_valid(last)),
    primary key (flow, name)
) strict, without rowid;
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
CREATE UNIQUE INDEX instance_one_live on instance (flow, business_key) where unique_key >= 1 and state <= 4;
CREATE UNIQUE INDEX instance_one_ever on instance (flow, business_key) where unique_key = 2;
CREATE INDEX schedule_by_due on schedule (due_ms) where paused = 0;
commit;
pragma application_id = 1937007984;
pragma user_version = 5;
