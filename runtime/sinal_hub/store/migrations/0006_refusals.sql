-- Deliveries that the edge refused, as each process counted them in each hour: why, and which network they came from.
-- Never what was in them. `tenant_id` is empty where nothing in a request names a tenant, `integration` where its URL
-- is of no integration.
create table refusals (
    tenant_id text not null,
    integration text not null,
    gateway text not null,
    reason text not null,
    missing text not null,
    network text not null,
    hour timestamptz not null,
    worker text not null,
    deliveries int not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    primary key (tenant_id, integration, hour, worker, gateway, reason, missing, network)
);
create index refusals_hour on refusals (hour);

-- What waits on the disks of edges, as each told it last; one that is gone says nothing any more.
create table spools (
    worker text primary key,
    records int not null,
    bytes bigint not null,
    oldest_at timestamptz,
    told_at timestamptz not null default now()
);

do $$
declare
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
    name text;
begin
    foreach name in array array['refusals', 'spools'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy worker on %I to %s using (true) with check (true)', name, worker);
        if worker <> 'current_user' then
            execute format('grant select, insert, update, delete on %I to %s', name, worker);
            if not pg_has_role(current_user, 'sinal_worker', 'usage') then
                execute format('create policy owner on %I to current_user using (true) with check (true)', name);
            end if;
        end if;
    end loop;
    -- What names no tenant is the platform's.
    execute 'create policy tenant on refusals using (tenant_id <> '''' and tenant_id = current_setting(''sinal.tenant'', true))';
    if exists (select from pg_roles where rolname = 'sinal_api') then
        grant select on refusals, sightings to sinal_api;
    end if;
end $$;
