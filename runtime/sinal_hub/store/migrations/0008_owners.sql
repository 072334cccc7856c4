-- Whose a slug's rows are. `owner` is the UID of the Tenant that had the slug first, `home` its namespace and name: a
-- Tenant of either has the rows. Another one that takes the slug is the `claimant`, and waits until the rows are handed
-- over or purged. Rows that are older than this column get the owner of the first plan that comes.
alter table tenants
    add column owner text,
    add column home text,
    add column claimant text,
    add column claimant_home text;

-- A tenant's key is good while its owner has the slug. Without an owner it was made before its tenant was seen.
alter table api_keys add column owner text;

-- Tenants whose data are to be removed, and were: one row a departure. `counts` are the rows by table.
create table purges (
    id text primary key,
    tenant_id text not null,
    owner text not null,
    home text not null,
    requested_at timestamptz not null,
    counts jsonb not null default '{}',
    finished_at timestamptz
);
create index purges_tenant on purges (tenant_id, finished_at);

do $$
declare
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
begin
    alter table purges enable row level security;
    alter table purges force row level security;
    execute format('create policy worker on purges to %s using (true) with check (true)', worker);
    create policy tenant on purges using (tenant_id = current_setting('sinal.tenant', true));
    if worker <> 'current_user' then
        grant select, insert, update, delete on purges to sinal_worker;
        grant delete on api_keys to sinal_worker;
        if not pg_has_role(current_user, 'sinal_worker', 'usage') then
            create policy owner on purges to current_user using (true) with check (true);
        end if;
    end if;
    -- A tenant's key reads what was done in its tenant since the data of another were purged.
    if exists (select from pg_roles where rolname = 'sinal_api') then
        grant select on purges to sinal_api;
    end if;
end $$;
