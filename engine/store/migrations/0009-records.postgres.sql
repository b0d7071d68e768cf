-- What only PostgreSQL is told, after the migration of the same name.

-- Lists go by id in byte order, whatever the database's language.
alter table record alter column id type text collate "C";
