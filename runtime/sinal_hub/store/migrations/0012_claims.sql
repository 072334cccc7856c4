-- A claim's key was called `event_id`, which is Meta's word for something else. Three steps, so that processes of the
-- release before work beside those of this one, and may come back:
-- 1. This release asks `claims`, a view of the same rows under the right names; the release before asks the table.
-- 2. The next one renames the column, `alter table dedupe_registry rename column event_id to claim_key`: the view
--    follows by itself, and it asks the table.
-- 3. The one after that drops the view.
-- Whoever asks the view needs rights on the table's rows, and row-level security is the table's.
create view claims with (security_invoker = true) as
    select tenant_id, event_id as claim_key, source, owner, first_seen_at, expires_at from dedupe_registry;
comment on view claims is 'dedupe_registry under the names it will have; `claim_key` is what an event claimed';
do $$
begin
    if exists (select from pg_roles where rolname = 'sinal_worker') then
        grant select, insert, update, delete on claims to sinal_worker;
    end if;
end $$;
