-- Times at which flows start by themselves: the schedules of each flow's newest version.

create table schedule (
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

-- "What is due", "when will something be".
create index schedule_by_due on schedule (due_ms) where paused = 0;
