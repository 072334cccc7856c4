-- What housekeeping keeps: leases of its chores, heartbeats, rollups, and what people asked of their data.

-- One row a chore. A row rather than an advisory lock: it also says when the chore is due and how it went, so that
-- several replicas share one rhythm, a restart repeats nothing, and any connection pooler will do.
create table leases (
    name text primary key,
    holder text,
    held_until timestamptz,
    due_at timestamptz not null default now(),
    last_success_at timestamptz,
    last_failure_at timestamptz,
    failures bigint not null default 0
);

-- The last heartbeat of each tenant. It is no event: it is in no list, report or ledger.
create table heartbeats (
    tenant_id text primary key,
    event_id text not null,
    sent_at timestamptz not null,
    stored_at timestamptz,
    seconds double precision
);

-- Counts without any person, by hour and by the tenant's own day; an absent dimension is the empty string.
create table rollups (
    tenant_id text not null,
    grain text not null check (grain in ('hour', 'day')),
    bucket timestamptz not null,
    funnel text not null,
    kind text not null,
    status text not null,
    outcome text not null,
    reason text not null,
    rule text not null,
    events bigint not null,
    primary key (tenant_id, grain, bucket, funnel, kind, status, outcome, reason, rule)
);
create index rollups_bucket on rollups (bucket);

-- Orders by the hour they were first heard of and the state they are in now.
create table conversion_rollups (
    tenant_id text not null,
    grain text not null check (grain in ('hour', 'day')),
    bucket timestamptz not null,
    funnel text not null,
    gateway text not null,
    status text not null,
    currency text not null,
    orders bigint not null,
    value numeric(20, 2) not null,
    primary key (tenant_id, grain, bucket, funnel, gateway, status, currency)
);
create index conversion_rollups_bucket on conversion_rollups (bucket);

-- One row a request to be forgotten. `subject` says whom to look for and goes when the work is done; `keys` are digests
-- of digests.
create table erasures (
    id text primary key,
    tenant_id text not null,
    requested_at timestamptz not null default now(),
    requested_by text not null,
    role text not null,
    state text not null default 'waiting' check (state in ('waiting', 'done')),
    subject jsonb,
    keys text[] not null,
    counts jsonb not null default '{}',
    tries int not null default 0,
    problem text,
    finished_at timestamptz
);
create index erasures_waiting on erasures (requested_at) where state = 'waiting';

-- What matching must not let pass any more: facts of a person who was erased, sales of one who withdrew consent.
create table privacy_marks (
    tenant_id text not null,
    key text not null,
    kind text not null check (kind in ('erased', 'no_consent')),
    at timestamptz not null,
    expires_at timestamptz,
    primary key (tenant_id, key, kind)
);
create index privacy_marks_expiry on privacy_marks (expires_at) where expires_at is not null;

-- Rows that may still be sent, by lane: few of all, so finding what is stranded or must be stopped reads nothing else.
create index capi_events_open on capi_events (tenant_id, destination, created_at) where status in ('pending', 'sending');

-- What retention and erasure take the order's id from: rows that still have it.
create index conversions_personal on conversions (last_at) where order_key not like 'gone:%';
create index dedupe_registry_orders on dedupe_registry (first_seen_at)
    where expires_at is null and event_id like 'Purchase:%:%';

-- A claim that lasts for ever outlives the order it names: its key is replaced by this.
create function sinal_hashed_claim(tenant text, key text) returns text language sql immutable strict parallel safe as $$
    select 'sha256:' || encode(sha256(convert_to(tenant || '|' || key, 'UTF8')), 'hex')
$$;

do $$
declare
    name text;
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
    api boolean := exists (select from pg_roles where rolname = 'sinal_api');
begin
    foreach name in array array['heartbeats', 'rollups', 'conversion_rollups', 'erasures', 'privacy_marks'] loop
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
    if worker <> 'current_user' then
        grant select, insert, update on leases to sinal_worker;
    end if;
    if api then
        grant select on rollups, conversion_rollups, erasures to sinal_api;
    end if;
end $$;
