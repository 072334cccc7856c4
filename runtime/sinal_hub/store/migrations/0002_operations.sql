-- What the operations API keeps: its keys, what they did, and the results of work that must not happen twice.

-- A key is 256 random bits; only its SHA-256 is here. Without a tenant it is a key of the platform.
create table api_keys (
    id text primary key,
    tenant_id text,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    name text not null,
    key_sha256 text not null unique,
    created_at timestamptz not null default now(),
    created_by text not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
create index api_keys_tenant on api_keys (tenant_id, created_at desc);

-- One row an Idempotency-Key: the same key of the same caller gets the first result. `letters` are dead letters that
-- the broker must take before the state is `done`.
create table operations (
    actor text not null,
    key text not null,
    tenant_id text,
    kind text not null,
    request_sha256 text not null,
    state text not null check (state in ('prepared', 'done')),
    letters bigint[] not null default '{}',
    result jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (actor, key)
);
create index operations_created on operations (created_at);

-- Who changed what; rows are added and never changed.
create table audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    tenant_id text,
    actor text not null,
    role text not null,
    action text not null,
    target text not null,
    detail jsonb not null default '{}'
);
create index audit_log_tenant on audit_log (tenant_id, id desc);

-- For the live tail: when a row came or its outcome changed. Rows lie in that order nearly, so a BRIN index of some
-- pages finds the newest of a table of any size and costs a writer next to nothing.
alter table events add column changed_at timestamptz not null default now();
create index events_changed on events using brin (changed_at) with (pages_per_range = 16, autosummarize = on);
create index capi_events_settled on capi_events using brin (settled_at) with (pages_per_range = 16, autosummarize = on);

create function events_touch() returns trigger language plpgsql as $$
begin
    new.changed_at := now();
    return new;
end $$;
create trigger events_changed before update of outcome, reason on events for each row
    when (old.outcome is distinct from new.outcome or old.reason is distinct from new.reason)
    execute function events_touch();

do $$
declare
    name text;
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
    api boolean := exists (select from pg_roles where rolname = 'sinal_api');
begin
    foreach name in array array['api_keys', 'operations', 'audit_log'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy tenant on %I using (tenant_id = current_setting(''sinal.tenant'', true)) '
            'with check (tenant_id = current_setting(''sinal.tenant'', true))', name);
        execute format('create policy worker on %I to %s using (true) with check (true)', name, worker);
        if worker <> 'current_user' and not pg_has_role(current_user, 'sinal_worker', 'usage') then
            execute format('create policy owner on %I to current_user using (true) with check (true)', name);
        end if;
    end loop;
    if worker <> 'current_user' then
        grant select, insert, update on api_keys to sinal_worker;
        grant select, insert, update, delete on operations to sinal_worker;
        grant select, insert on audit_log to sinal_worker;
        grant select on schema_migrations to sinal_worker;
    end if;
    -- A tenant's key reads what was done in its tenant. Hashes of keys are for the worker only.
    if api then
        grant select on audit_log to sinal_api;
    end if;
end $$;
