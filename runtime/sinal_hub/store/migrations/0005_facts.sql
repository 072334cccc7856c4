-- What is told of each tenant in statuses, where no other table can tell it without reading events again.

-- When something last came in, by funnel and integration (empty: from pages). Kept by housekeeping, not by matching.
create table sightings (
    tenant_id text not null,
    funnel text not null,
    integration text not null,
    last_at timestamptz not null,
    primary key (tenant_id, funnel, integration)
);

-- Breakers that are not closed, as each dispatch process sees its own; a row a process dies with is out of date soon.
create table circuits (
    tenant_id text not null,
    destination text not null,
    worker text not null,
    reason text not null,
    changed_at timestamptz not null default now(),
    open_until timestamptz not null,
    primary key (tenant_id, destination, worker)
);

-- What the edge saw of an integration and could make no event of, as each process counted it in each hour.
create table tallies (
    tenant_id text not null,
    integration text not null,
    hour timestamptz not null,
    worker text not null,
    rejects int not null,
    drift int not null,
    last_at timestamptz,
    primary key (tenant_id, integration, hour, worker)
);
create index tallies_hour on tallies (hour);

-- What Meta's answer meant: the word of `dispatch/errors.py`.
alter table dispatch_requests add column verdict text;

-- How many orders were matched, by the same hours as orders are counted.
alter table conversion_rollups add column decision text not null default '';
alter table conversion_rollups drop constraint conversion_rollups_pkey;
alter table conversion_rollups add primary key (tenant_id, grain, bucket, funnel, gateway, status, currency, decision);

create index dead_letters_waiting on dead_letters (tenant_id, destination, created_at) where replayed_at is null;

do $$
declare
    name text;
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
begin
    foreach name in array array['sightings', 'circuits', 'tallies'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy tenant on %I using (tenant_id = current_setting(''sinal.tenant'', true)) '
            'with check (tenant_id = current_setting(''sinal.tenant'', true))', name);
        execute format('create policy worker on %I to %s using (true) with check (true)', name, worker);
        if worker <> 'current_user' then
            execute format('grant select, insert, update, delete on %I to %s', name, worker);
            if not pg_has_role(current_user, 'sinal_worker', 'usage') then
                execute format('create policy owner on %I to current_user using (true) with check (true)', name);
            end if;
        end if;
    end loop;
end $$;
