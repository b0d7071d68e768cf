-- What only PostgreSQL is told, after the migration of the same name.

-- Any engine may be the owner, and an owned instance that is wanted at once is one whose owner should look at its inbox.
alter table instance drop constraint instance_owned_check;
alter table instance drop constraint instance_check;

-- These rows are only written in the transaction that holds their instance's row; a look for it per row doubles the
-- cost of a commit.
alter table snapshot drop constraint snapshot_instance_fkey;
alter table journal drop constraint journal_instance_fkey;
alter table idempotency drop constraint idempotency_instance_fkey;
alter table subscription drop constraint subscription_instance_fkey;
alter table inbox drop constraint inbox_instance_fkey;

-- These change all the time; room on the page keeps a changed row where it was.
alter table instance set (fillfactor = 70);
alter table snapshot set (fillfactor = 70);
alter table meeting set (fillfactor = 70);
