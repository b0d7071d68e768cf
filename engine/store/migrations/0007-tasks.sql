-- Work that somebody outside does, as long as it is open.

create table task (
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
    locked_ms integer,
    primary key (instance, token)
) strict, without rowid;

-- "What can a worker fetch", and "what is there for people", oldest first.
create index task_by_topic on task (topic, since_ms);
