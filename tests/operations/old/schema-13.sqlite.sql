pragma foreign_keys = off;
begin;
CREATE TABLE migration (number integer primary key, name text not null, sha256 text not null) strict;
insert into migration values (1,'0001-instances','1e0f5c951e5f7a6c2e05e26df675d36d22bbfac70007f4a6e5ceea8cc4835134');
insert into migration values (2,'0002-administration','57f192f929103fe600d81a768f6619c51229b21eaaaa56062e78e3e91c3bbabc');
insert into migration values (3,'0003-many-engines','97a53dcd1c4e551bfc2d92d4de278549d2dd774536b97ce981da738b78a4006a');
insert into migration values (4,'0004-bindings','dacb92f32e45864f31bfbfcde6784f370f60766bd6650680e9f7782e6ed82703');
insert into migration values (5,'0005-schedules','828eba8d3a0d74bf171a09ee2dcf1b4258edd59a3be520c784fe765c297a8892');
insert into migration values (6,'0006-pauses','5c63a040acf4a296dc39d149250bf1bbcbcc53ad71f3de8d54b8edd5952f49cc');
insert into migration values (7,'0007-tasks','0eb0de2d7e53a98685174462d7a7dbe77ec6c7a3b56dc8c551fa288a7e4aada4');
insert into migration values (8,'0008-forgetting','55ab2b1144841c381a134e7624d9cd747c84dcc18dc4858df59fddc5558756d2');
insert into migration values (9,'0009-records','12d583d64a696c7549c5d01d354ca2d98f728a02a10d8de690d7d5d06b4df59a');
insert into migration values (10,'0010-users','7fddfb27476dc1f7863f56be5f4a280c4b3affdae0f636f6cfe18fddd3092fd8');
insert into migration values (11,'0011-grants','b83b20cb432b658f8f599d5648861c95b4640d9d3fef85564f607f7872117641');
insert into migration values (12,'0012-uploads','b459ec4064a156e8c55f94cc886b99c1a33a95b340f75f23cdd0ee5df3647d86');
insert into migration values (13,'0013-machines','de2ab9a8c4259a194858befa88cbf260a48f98a8a00c900c77c2e99ce85a7d77');
CREATE TABLE flow (
    key text primary key,
    kind text not null,
    title text not null check (json_valid(title)),
    updated_ms integer not null
) strict, without rowid;
insert into flow values ('call','graph','"call"',1795233894158);
insert into flow values ('each','graph','"each"',1795233894164);
insert into flow values ('ended','graph','"ended"',1795233894060);
insert into flow values ('event','graph','"event"',1795233894142);
insert into flow values ('machine','machine','"machine"',1795233894207);
insert into flow values ('person','graph','"person"',1795233894176);
insert into flow values ('receive','graph','"receive"',1795233894091);
insert into flow values ('suspended','graph','"suspended"',1795233894109);
insert into flow values ('timer','graph','"timer"',1795233894129);
insert into flow values ('worker','graph','"worker"',1795233894190);
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
insert into version values ('ended',1,'e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd',NULL,1795233894060,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"ended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"type":"set","vars":{"a":1}}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('receive',1,'f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653',NULL,1795233894091,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('suspended',1,'f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a',NULL,1795233894109,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"suspended","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('timer',1,'b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0',NULL,1795233894129,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"timer","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"after":"2m","type":"timer"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('event',1,'2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969',NULL,1795233894142,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"come"},{"from":"wait","to":"late"},{"from":"come","to":"end"},{"from":"late","to":"end"}],"key":"event","kind":"graph","nodes":{"come":{"key":"=input.key","message":"go","type":"receive"},"end":{"output":{"key":"=input.key"},"type":"end"},"late":{"after":"300d","type":"timer"},"start":{"type":"start"},"wait":{"type":"event-gateway"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('call',1,'690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c',NULL,1795233894158,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"call","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"flow":"receive","type":"call","with":{"key":"=input.key"}}},"stepwell":1}','{"flows":{"receive":{"catalog":{"nodeTypes":{}},"document":{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"receive","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"key":"=input.key","message":"go","type":"receive"}},"stepwell":1},"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","key":"receive","version":1}},"nodeTypes":{}}',NULL);
insert into version values ('each',1,'dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced',NULL,1795233894164,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"each","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"inner":{"in":"wait","key":"=item","message":"go","type":"receive"},"start":{"type":"start"},"wait":{"items":["each-1","each-2","each-3"],"limit":2,"output":"=item","type":"for-each"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('person',1,'7ce57a657b64509fbeff45a04d958d1c98228b4821551beda755663682c55f77',NULL,1795233894176,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"person","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"type":"user-task","users":["ada"]}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('worker',1,'9dcf0dd9a0ccb698f1dc4c8a632374463a8f2636704731a65ef925cc327cbe3c',NULL,1795233894190,'token:bootstrap','{"businessKey":"=input.key","edges":[{"from":"start","to":"wait"},{"from":"wait","to":"end"}],"key":"worker","kind":"graph","nodes":{"end":{"output":{"key":"=input.key"},"type":"end"},"start":{"type":"start"},"wait":{"topic":"work","type":"external-task"}},"stepwell":1}','{"nodeTypes":{}}',NULL);
insert into version values ('machine',1,'6523e6c88f3261f6fff09eaaaaca511a28af2abca8f857ec9ef8b38ae09d3def',NULL,1795233894207,'token:bootstrap','{"actions":[{"name":"go","next":"DONE","on":{"key":"=input.key","message":"go"},"states":["NEW"]}],"businessKey":"=input.key","initial":"NEW","key":"machine","kind":"machine","output":{"key":"=input.key"},"states":[{"code":"NEW"},{"code":"DONE","terminal":true}],"stepwell":1}','{"nodeTypes":{}}',NULL);
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
    traceparent text, bound_by text, unique_key integer not null default 0 check (unique_key between 0 and 2), forget_ms integer check (forget_ms is null or state > 4), erased_ms integer check (erased_ms is null or state > 4),
    foreign key (flow, version) references version (flow, version),
    check (owner = 0 or wake_ms is null),
    check (state <= 4 or (owner = 0 and wake_ms is null))
) strict;
insert into instance values (3,X'01A1FC474EBE757CBAC862DF483C8894','ended',1,'ended',0,5,1,1,0,NULL,1795233894078,1795233894078,NULL,NULL,'{"key":"ended"}',NULL,NULL,0,NULL,NULL);
insert into instance values (8,X'01A1FC474ED577D4BEE39E89DF7508DA','receive',1,'receive',0,1,1,1,0,NULL,1795233894101,1795233894101,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (13,X'01A1FC474EDF73B3B6CF1EF6E7331BF4','suspended',1,'suspended',0,3,2,2,0,NULL,1795233894111,1795233894117,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (21,X'01A1FC474EF475179E6A30F28B67B3C7','timer',1,'timer',0,1,1,1,0,1795234014132,1795233894132,1795233894132,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (26,X'01A1FC474F057391909C16EFA5FCDC01','event',1,'event',0,1,1,1,0,1821153894149,1795233894149,1795233894149,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (31,X'01A1FC474F11711788E169A21AA604BB','call',1,'call',0,1,1,1,0,NULL,1795233894161,1795233894161,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (36,X'01A1FC474F167422AC525E4EA4E6F0DB','each',1,'each',0,1,1,1,0,NULL,1795233894166,1795233894166,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (41,X'01A1FC474F27704A9B3C7BDF8438E47C','person',1,'person',0,1,1,1,0,NULL,1795233894183,1795233894183,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (46,X'01A1FC474F377699A12C4223B1C0FAD3','worker',1,'worker',0,1,1,1,0,NULL,1795233894199,1795233894199,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
insert into instance values (51,X'01A1FC474F4674D48967550798E79345','machine',1,'machine',0,1,2,1,0,NULL,1795233894214,1795233894221,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL);
CREATE TABLE snapshot (
    instance integer primary key references instance (n),
    body text not null
) strict;
insert into snapshot values (8,'{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"receive","priority":0,"seq":1,"started_ms":1795233894101,"now_ms":1795233894101,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233894101,"at":{"waiting":{"message":"go","key":"receive","due_ms":null,"visit":null}}}},"next_token":2}}');
insert into snapshot values (13,'{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"suspended","priority":0,"seq":2,"started_ms":1795233894111,"now_ms":1795233894117,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233894111,"at":{"waiting":{"message":"go","key":"suspended","due_ms":null,"visit":null}}}},"next_token":2,"suspended":true}}');
insert into snapshot values (21,'{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"timer","priority":0,"seq":1,"started_ms":1795233894132,"now_ms":1795233894132,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233894132,"at":{"timer":{"due_ms":1795234014132}}}},"next_token":2}}');
insert into snapshot values (26,'{"form":3,"nodes":{"0":"come","2":"late"},"instance":{"version":1,"business_key":"event","priority":0,"seq":1,"started_ms":1795233894149,"now_ms":1795233894149,"scopes":{"0":{"input":{"r":1},"visits":{"come":1,"late":1,"start":1,"wait":1}}},"next_scope":1,"tokens":{"2":{"node":0,"visit":1,"since_ms":1795233894149,"at":{"waiting":{"message":"go","key":"event","due_ms":null,"visit":null}},"race":1},"3":{"node":2,"visit":1,"since_ms":1795233894149,"at":{"timer":{"due_ms":1821153894149}},"race":1}},"next_token":4}}');
insert into snapshot values (31,'{"form":3,"nodes":{"2":"wait","5":"receive@1:wait"},"instance":{"version":1,"business_key":"call","priority":0,"seq":1,"started_ms":1795233894161,"now_ms":1795233894161,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":2,"host":1},"path":"wait.1/","input":{"v":{"key":"call"}},"visits":{"start":1,"wait":1}}},"next_scope":2,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233894161,"at":"inside"},"2":{"scope":1,"node":5,"visit":1,"since_ms":1795233894161,"at":{"waiting":{"message":"go","key":"call","due_ms":null,"visit":null}}}},"next_token":3}}');
insert into snapshot values (36,'{"form":3,"nodes":{"1":"inner","3":"wait"},"instance":{"version":1,"business_key":"each","priority":0,"seq":1,"started_ms":1795233894166,"now_ms":1795233894166,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}},"1":{"within":{"scope":0,"node":3,"host":1},"path":"wait.1/","progress":{"items":{"v":["each-1","each-2","each-3"]},"next":2,"open":2,"results":{}}},"2":{"within":{"scope":1,"node":3,"host":1,"item":{"index":0,"value":{"v":"each-1"}}},"path":"wait.1/0/","visits":{"inner":1}},"3":{"within":{"scope":1,"node":3,"host":1,"item":{"index":1,"value":{"v":"each-2"}}},"path":"wait.1/1/","visits":{"inner":1}}},"next_scope":4,"tokens":{"1":{"node":3,"visit":1,"since_ms":1795233894166,"at":"inside"},"2":{"scope":2,"node":1,"visit":1,"since_ms":1795233894166,"at":{"waiting":{"message":"go","key":"each-1","due_ms":null,"visit":null}}},"3":{"scope":3,"node":1,"visit":1,"since_ms":1795233894166,"at":{"waiting":{"message":"go","key":"each-2","due_ms":null,"visit":null}}}},"next_token":4}}');
insert into snapshot values (41,'{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"person","priority":0,"seq":1,"started_ms":1795233894183,"now_ms":1795233894183,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233894183,"at":{"open":{"visit":{"op":"run","attempt":1,"tries":1,"key":"01a1fc47-4f27-704a-9b3c-7bdf8438e47c.wait.1","input":{"v":{"assignee":null,"data":{},"dueAt":null,"groups":[],"users":["ada"]}},"maybe_done":false},"due_ms":null}}}},"next_token":2}}');
insert into snapshot values (46,'{"form":3,"nodes":{"2":"wait"},"instance":{"version":1,"business_key":"worker","priority":0,"seq":1,"started_ms":1795233894199,"now_ms":1795233894199,"scopes":{"0":{"input":{"r":1},"visits":{"start":1,"wait":1}}},"next_scope":1,"tokens":{"1":{"node":2,"visit":1,"since_ms":1795233894199,"at":{"open":{"visit":{"op":"run","attempt":1,"tries":1,"key":"01a1fc47-4f37-7699-a12c-4223b1c0fad3.wait.1","input":{"v":{}},"maybe_done":true},"due_ms":null}}}},"next_token":2}}');
insert into snapshot values (51,'{"form":3,"nodes":{"1":"evaluate"},"instance":{"version":1,"business_key":"machine","priority":0,"seq":2,"started_ms":1795233894214,"now_ms":1795233894221,"scopes":{"0":{"input":{"r":1},"visits":{"evaluate":1,"start":1},"machine":{"state":"NEW","since_ms":1795233894214,"revision":0,"evaluated":true,"rounds":0}}},"next_scope":1,"tokens":{"2":{"node":1,"visit":1,"since_ms":1795233894221,"at":"resting"},"3":{"node":1,"visit":1,"since_ms":1795233894221,"at":{"guard":{"host":2,"port":"go","wait":{"message":{"message":"go","key":"machine","due_ms":null}}}}}},"next_token":4}}');
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
insert into journal values (5,3,1,1,1795233894078,5,'[{"seq":1,"at_ms":1795233894078,"type":"started","input":{"key":"ended"},"businessKey":"ended"}]');
insert into journal values (10,8,1,1,1795233894101,1,'[{"seq":1,"at_ms":1795233894101,"type":"started","input":{"key":"receive"},"businessKey":"receive"}]');
insert into journal values (15,13,1,1,1795233894111,1,'[{"seq":1,"at_ms":1795233894111,"type":"started","input":{"key":"suspended"},"businessKey":"suspended"}]');
insert into journal values (18,13,2,2,1795233894117,3,'[{"seq":2,"at_ms":1795233894117,"type":"commanded","command":"suspend","reason":"later","by":"token:bootstrap"}]');
insert into journal values (23,21,1,1,1795233894132,1,'[{"seq":1,"at_ms":1795233894132,"type":"started","input":{"key":"timer"},"businessKey":"timer"}]');
insert into journal values (28,26,1,1,1795233894149,1,'[{"seq":1,"at_ms":1795233894149,"type":"started","input":{"key":"event"},"businessKey":"event"}]');
insert into journal values (33,31,1,1,1795233894161,1,'[{"seq":1,"at_ms":1795233894161,"type":"started","input":{"key":"call"},"businessKey":"call"}]');
insert into journal values (38,36,1,1,1795233894166,1,'[{"seq":1,"at_ms":1795233894166,"type":"started","input":{"key":"each"},"businessKey":"each"}]');
insert into journal values (43,41,1,1,1795233894183,1,'[{"seq":1,"at_ms":1795233894183,"type":"started","input":{"key":"person"},"businessKey":"person"}]');
insert into journal values (48,46,1,1,1795233894199,1,'[{"seq":1,"at_ms":1795233894199,"type":"started","input":{"key":"worker"},"businessKey":"worker"}]');
insert into journal values (53,51,1,1,1795233894214,0,'[{"seq":1,"at_ms":1795233894214,"type":"started","input":{"key":"machine"},"businessKey":"machine"}]');
insert into journal values (54,51,2,2,1795233894221,1,'[{"seq":2,"at_ms":1795233894221,"type":"evaluated","token":1,"revision":0}]');
CREATE TABLE idempotency (
    flow text not null,
    key text not null,
    -- The sha256 of what was asked.
    request text not null,
    instance integer not null references instance (n),
    expires_ms integer not null,
    primary key (flow, key)
) strict, without rowid;
insert into idempotency values ('call','call','4ff2363ceef8dae2728b1a2c293d6ba2b6bc0056145c78e6b329a5c8ab817f74',31,1795320294161);
insert into idempotency values ('each','each','c25d7a3e29cbd5cd9cf324ee748dafbe27264615e4f99c4ba45ab404ebf67807',36,1795320294166);
insert into idempotency values ('ended','ended','878389a7e0e2b72ef40c1f904e353ac9364c32ce3bd2323a1a37f2dcf840c40d',3,1795320294078);
insert into idempotency values ('event','event','b2139bf4bf4615dba60325b322eda73b9e2efb95ab92608374e1bd9c3e913722',26,1795320294149);
insert into idempotency values ('machine','machine','d35cdb0b3352aa780349025a3589fb0aec895de8bcfeb38352a03844743e1479',51,1795320294214);
insert into idempotency values ('person','person','d41af7502d936b948fff2dbc2495d70e504f94c1c1dd822e572925602cb46294',41,1795320294183);
insert into idempotency values ('receive','receive','8533a2245282109c02ba1625cdba7fe57063ee71b087c6307ff5e4b6b8ffc897',8,1795320294101);
insert into idempotency values ('suspended','suspended','99598e4a4ff459b6a1df93a94ea000b179677bbd6995148dfb58ebba85561133',13,1795320294111);
insert into idempotency values ('timer','timer','5a31312f3774639e822470e40377ebf92797524505b00e54440f82fc6ee27d90',21,1795320294132);
insert into idempotency values ('worker','worker','e94a9cbea9d226834c923e526dd11ceba162238b5273a13e8f5ae7e3bb527ddd',46,1795320294199);
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
insert into subscription values ('go','machine',51);
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
    expires_ms integer, transient integer not null default 0 check (transient in (0, 1)),
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
CREATE TABLE setting (
    name text primary key,
    value text not null check (json_valid(value))
) strict, without rowid;
insert into setting values ('engine','"01a1fc47-4ea9-749d-9dd0-9bfbd7bdef52"');
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
insert into audit values (1,1795233894060,'token:bootstrap','flow.publish','ended','{"hash":"e07277660ad2ba8ef9da31642d2b508919550d3183fe78a8771089440909badd","label":null,"version":1}');
insert into audit values (4,1795233894078,'token:bootstrap','instance.start','01a1fc47-4ebe-757c-bac8-62df483c8894','{"flow":"ended","version":1}');
insert into audit values (6,1795233894091,'token:bootstrap','flow.publish','receive','{"hash":"f4db7cf80014a297847b80c90697abd0bc6ae7e1a3d9b4d686aeb1b421177653","label":null,"version":1}');
insert into audit values (9,1795233894101,'token:bootstrap','instance.start','01a1fc47-4ed5-77d4-bee3-9e89df7508da','{"flow":"receive","version":1}');
insert into audit values (11,1795233894109,'token:bootstrap','flow.publish','suspended','{"hash":"f8f765f7217ce35f61a9b801108cad1817ba83329acd7431fe79e7e9a257450a","label":null,"version":1}');
insert into audit values (14,1795233894111,'token:bootstrap','instance.start','01a1fc47-4edf-73b3-b6cf-1ef6e7331bf4','{"flow":"suspended","version":1}');
insert into audit values (17,1795233894114,'token:bootstrap','instance.suspend','01a1fc47-4edf-73b3-b6cf-1ef6e7331bf4','{"command":"suspend","reason":"later"}');
insert into audit values (19,1795233894129,'token:bootstrap','flow.publish','timer','{"hash":"b24ca64e8d493009e2e6b2bd4b92edac7e5bc1029517a432acd874009830dbb0","label":null,"version":1}');
insert into audit values (22,1795233894132,'token:bootstrap','instance.start','01a1fc47-4ef4-7517-9e6a-30f28b67b3c7','{"flow":"timer","version":1}');
insert into audit values (24,1795233894142,'token:bootstrap','flow.publish','event','{"hash":"2a7405fbc573566bb58d89e709f02162a6688c88ee549e452fcdab3dad883969","label":null,"version":1}');
insert into audit values (27,1795233894149,'token:bootstrap','instance.start','01a1fc47-4f05-7391-909c-16efa5fcdc01','{"flow":"event","version":1}');
insert into audit values (29,1795233894158,'token:bootstrap','flow.publish','call','{"hash":"690b5c8ce704c079239ca935a8aaa68b80ce480aa3889deaeb99f7165381784c","label":null,"version":1}');
insert into audit values (32,1795233894161,'token:bootstrap','instance.start','01a1fc47-4f11-7117-88e1-69a21aa604bb','{"flow":"call","version":1}');
insert into audit values (34,1795233894164,'token:bootstrap','flow.publish','each','{"hash":"dea169ce781bc35ba3c7fb514ebebefdaef4cbb7eb01b81bebff5278295e3ced","label":null,"version":1}');
insert into audit values (37,1795233894166,'token:bootstrap','instance.start','01a1fc47-4f16-7422-ac52-5e4ea4e6f0db','{"flow":"each","version":1}');
insert into audit values (39,1795233894176,'token:bootstrap','flow.publish','person','{"hash":"7ce57a657b64509fbeff45a04d958d1c98228b4821551beda755663682c55f77","label":null,"version":1}');
insert into audit values (42,1795233894183,'token:bootstrap','instance.start','01a1fc47-4f27-704a-9b3c-7bdf8438e47c','{"flow":"person","version":1}');
insert into audit values (44,1795233894190,'token:bootstrap','flow.publish','worker','{"hash":"9dcf0dd9a0ccb698f1dc4c8a632374463a8f2636704731a65ef925cc327cbe3c","label":null,"version":1}');
insert into audit values (47,1795233894199,'token:bootstrap','instance.start','01a1fc47-4f37-7699-a12c-4223b1c0fad3','{"flow":"worker","version":1}');
insert into audit values (49,1795233894207,'token:bootstrap','flow.publish','machine','{"hash":"6523e6c88f3261f6fff09eaaaaca511a28af2abca8f857ec9ef8b38ae09d3def","label":null,"version":1}');
insert into audit values (52,1795233894214,'token:bootstrap','instance.start','01a1fc47-4f46-74d4-8967-550798e79345','{"flow":"machine","version":1}');
CREATE TABLE notice (
    n integer primary key,
    at_ms integer not null,
    body text not null check (json_valid(body))
) strict;
insert into notice values (2,1795233894060,'{"kind":"published","flow":"ended","version":1}');
insert into notice values (7,1795233894091,'{"kind":"published","flow":"receive","version":1}');
insert into notice values (12,1795233894109,'{"kind":"published","flow":"suspended","version":1}');
insert into notice values (20,1795233894129,'{"kind":"published","flow":"timer","version":1}');
insert into notice values (25,1795233894142,'{"kind":"published","flow":"event","version":1}');
insert into notice values (30,1795233894158,'{"kind":"published","flow":"call","version":1}');
insert into notice values (35,1795233894164,'{"kind":"published","flow":"each","version":1}');
insert into notice values (40,1795233894176,'{"kind":"published","flow":"person","version":1}');
insert into notice values (45,1795233894190,'{"kind":"published","flow":"worker","version":1}');
insert into notice values (50,1795233894207,'{"kind":"published","flow":"machine","version":1}');
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
insert into tally values ('machine',1,0,1,0);
insert into tally values ('machine',1,1,1,1);
insert into tally values ('person',1,1,1,1);
insert into tally values ('receive',1,1,1,1);
insert into tally values ('suspended',1,1,1,0);
insert into tally values ('suspended',1,3,1,1);
insert into tally values ('timer',1,1,1,1);
insert into tally values ('worker',1,1,1,1);
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
CREATE TABLE pause (
    kind text not null check (kind in ('node-type', 'connection')),
    -- plugin/type, or a connection's name.
    name text not null,
    reason text not null,
    paused_ms integer not null,
    paused_by text not null,
    -- How often one call is let through to see; null: only when asked.
    probe_ms integer check (probe_ms > 0),
    -- A call that was let through and went well ends the pause.
    resume integer not null check (resume in (0, 1)),
    -- When a call was let through last.
    probed_ms integer,
    -- What came of it.
    probe text check (probe is null or json_valid(probe)),
    primary key (kind, name)
) strict, without rowid;
CREATE TABLE task (
    instance integer not null,
    token integer not null,
    -- An answer names it: a task that was put out again does not take the answer of before.
    attempt integer not null,
    visit integer not null,
    -- The path of its scope, and the node's id.
    node text not null,
    -- The node's name in its flow, with the flows that it calls.
    place text not null,
    -- What workers fetch it by; null: a person's.
    topic text,
    input text not null check (json_valid(input)),
    since_ms integer not null,
    -- Nobody need do it after that.
    until_ms integer,
    -- When a person should have done it.
    due_ms integer,
    -- Whose it is, and who may take it: lists of names.
    assignee text,
    users text not null check (json_valid(users)),
    groups text not null check (json_valid(groups)),
    -- The worker that has fetched it, and until when it is its alone.
    worker text,
    locked_ms integer, key text,
    primary key (instance, token)
) strict, without rowid;
insert into task values (41,1,1,1,'wait','wait',NULL,'{"assignee":null,"data":{},"dueAt":null,"groups":[],"users":["ada"]}',1795233894183,NULL,NULL,NULL,'["ada"]','[]',NULL,NULL,NULL);
insert into task values (46,1,1,1,'wait','wait','work','{}',1795233894199,NULL,NULL,NULL,'[]','[]',NULL,NULL,'01a1fc47-4f37-7699-a12c-4223b1c0fad3.wait.1');
CREATE TABLE passed (
    -- 0 in a file.
    engine integer primary key,
    n integer not null
) strict;
CREATE TABLE ran_before (
    flow text not null,
    version integer not null,
    instance integer not null,
    primary key (flow, version, instance)
) strict, without rowid;
CREATE TABLE record_type (
    key text not null,
    version integer not null check (version > 0),
    document text not null check (json_valid(document)),
    -- Of what the document means, hex sha256: the same again is no new version.
    hash text not null,
    published_ms integer not null,
    published_by text not null,
    primary key (key, version)
) strict;
CREATE TABLE record (
    -- The key of the record type.
    type text not null,
    -- The caller's key of the entity, such as an order number.
    id text not null,
    status text not null,
    -- By which intervals of statuses compare, as of the write.
    status_code integer not null,
    -- Counts writes.
    revision integer not null check (revision > 0),
    body text not null check (json_valid(body)),
    updated_ms integer not null,
    primary key (type, id)
) strict;
CREATE TABLE account (
    name text primary key,
    -- Argon2id, as it writes itself.
    password text not null,
    -- They can neither log in nor do anything with what they had.
    disabled integer not null check (disabled in (0, 1)),
    -- Somebody else chose the password: they choose their own before they do anything else.
    must_change integer not null check (must_change in (0, 1)),
    created_ms integer not null,
    created_by text not null
) strict, without rowid;
CREATE TABLE api_token (
    id text primary key,
    name text not null,
    -- The sha256 of the token, in hexadecimal digits.
    digest text not null unique,
    -- It reaches no further than they do; null: made with the engine's own token, and as far as that.
    owner text references account (name),
    created_ms integer not null,
    expires_ms integer,
    -- When it was used last, some minutes more or less.
    used_ms integer
) strict, without rowid;
CREATE TABLE role_given (
    kind text not null check (kind in ('user', 'token')),
    -- A user's name, or a token's id.
    holder text not null,
    -- `*`: in every one, and over what belongs to none.
    namespace text not null,
    role text not null check (role in ('viewer', 'operator', 'designer', 'admin')),
    primary key (kind, holder, namespace)
) strict, without rowid;
CREATE TABLE session (
    -- The sha256 of what the browser shows, in hexadecimal digits.
    digest text primary key,
    -- Null: bought with the engine's own token.
    account text references account (name),
    created_ms integer not null,
    -- When it was used last, some minutes more or less.
    seen_ms integer not null,
    ends_ms integer not null
) strict, without rowid;
CREATE TABLE plugin_grant (
    -- Builds: `name`, `name@1`, `name@1.2`, `name@1.2.0`, or a digest.
    plugin text not null,
    -- Of the flows that call; `*`: all of them.
    namespace text not null,
    -- One row for each connection and each type of records, and one for what a call may take.
    kind text not null check (kind in ('connection', 'records', 'limits')),
    -- Of the connection or the type; empty for limits.
    name text not null check ((name = '') = (kind = 'limits')),
    -- What is narrowed, or how much.
    spec text not null check (json_valid(spec)),
    granted_ms integer not null,
    granted_by text not null,
    primary key (plugin, namespace, kind, name)
) strict, without rowid;
CREATE TABLE secret (
    name text primary key,
    -- Counts the values it has had.
    version integer not null check (version > 0),
    -- By which key it is sealed: not the key, but its name.
    key_id text not null,
    -- The value, encrypted; base64.
    sealed text not null,
    changed_ms integer not null,
    changed_by text not null
) strict, without rowid;
CREATE TABLE revocation (
    digest text primary key,
    name text not null,
    version text not null,
    reason text not null,
    revoked_ms integer not null,
    revoked_by text not null
) strict, without rowid;
CREATE TABLE upload (
    id text primary key,
    at_ms integer not null,
    who text not null,
    state text not null check (state in ('running', 'live', 'tried', 'refused')),
    -- Stages, problems, what it is, what it changes.
    body text not null check (json_valid(body))
) strict, without rowid;
CREATE TABLE machine_action (
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
CREATE TABLE machine_standing (
    instance integer primary key,
    flow text not null,
    state text not null,
    since_ms integer not null
) strict;
insert into machine_standing values (51,'machine','NEW',1795233894214);
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
CREATE INDEX task_by_topic on task (topic, since_ms);
CREATE INDEX instance_by_forget on instance (forget_ms) where forget_ms is not null;
CREATE INDEX idempotency_by_instance on idempotency (instance);
CREATE INDEX ran_before_by_instance on ran_before (instance);
CREATE INDEX record_by_status on record (type, status_code, id);
CREATE INDEX api_token_by_owner on api_token (owner);
CREATE INDEX session_by_account on session (account);
CREATE INDEX session_by_end on session (ends_ms);
CREATE INDEX plugin_grant_by_name on plugin_grant (kind, name);
CREATE INDEX upload_by_time on upload (at_ms);
CREATE INDEX machine_standing_by_state on machine_standing (flow, state, since_ms);
commit;
pragma application_id = 1937007984;
pragma user_version = 13;
