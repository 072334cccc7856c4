-- Less work for each event. An update that changes no indexed column and finds room on its page touches no index and
-- writes a quarter of the log (HOT); an index that nothing asks is an entry for nothing.

-- What is still to be done is what has no `settled_at`: a claim leaves that alone, so it may be HOT.
drop index capi_events_status, capi_events_open, capi_events_unpublished;
create index capi_events_open on capi_events (tenant_id, destination, created_at) where settled_at is null;
create index capi_events_tenant on capi_events (tenant_id, created_at);
create index capi_events_unpublished on capi_events (created_at) where published_at is null;

-- Looked up by visitor, with the tenant in front, in the indexes of expressions; only their own are needed.
drop index clicks_fbc, clicks_fbclid;

-- Changed by every visit; retention reads them once an hour, in the order they lie in nearly.
drop index sessions_last_seen, identities_last_seen;
create index sessions_last_seen on sessions using brin (last_seen_at) with (autosummarize = on);
create index identities_last_seen on identities using brin (last_seen_at) with (autosummarize = on);

-- A claim is named by its unique key and an attempt by its event; nothing asks for their numbers.
alter table dedupe_registry drop constraint dedupe_registry_pkey;
alter table dispatch_attempts drop constraint dispatch_attempts_pkey;

-- Room on each page for the versions that a row goes through; partitions made later get the same (store/partitions.py).
-- A payload lies beside its row: what changes is small.
alter table sessions set (fillfactor = 70);
alter table capi_events alter column payload_json set storage external;
do $$
declare
    part regclass;
begin
    for part in select inhrelid::regclass from pg_inherits
        where inhparent in ('capi_events'::regclass, 'dispatch_attempts'::regclass, 'clicks'::regclass)
    loop
        execute format('alter table %s set (fillfactor = %s)', part, case when part::text like 'clicks%' then 70 else 50 end);
        if part::text like 'capi_events%' then
            execute format('alter table %s set (toast_tuple_target = 512)', part);
        end if;
    end loop;
end $$;
