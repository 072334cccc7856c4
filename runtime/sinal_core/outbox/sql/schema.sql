-- The tables of one product's outbox. `outbox.postgres.schema` gives them the product's name; a migration of the product
-- holds what it returns.

-- One row for each thing to send. `key` makes adding it twice one row. `fence` counts claims and never goes back: it is
-- the token of a claim. `attempts` counts tries that said something of the entry, and begins anew with each `generation`.
create table outbox_entries (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default date_trunc('milliseconds', now()),
    tenant_id text not null,
    destination text not null,
    key text not null,
    payload text not null,
    expires_at timestamptz,
    status text not null default 'pending'
        check (status in ('pending', 'sending', 'delivered', 'withheld', 'dead')),
    reason text,
    fence int not null default 0,
    attempts int not null default 0,
    in_doubt int not null default 0,
    generation int not null default 0,
    publications int not null default 0,
    published_at timestamptz,
    lease_until timestamptz,
    next_attempt_at timestamptz,
    settled_at timestamptz,
    unique (tenant_id, destination, key)
);
create index outbox_entries_open on outbox_entries (tenant_id, destination) where settled_at is null;
create index outbox_entries_settled on outbox_entries (settled_at) where settled_at is not null;

create table outbox_requests (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default now(),
    tenant_id text not null,
    destination text not null,
    entries int not null,
    verdict text,
    http_status int,
    code int,
    subcode int,
    trace_id text,
    answer text check (length(answer) <= 2000),
    latency_ms int,
    finished_at timestamptz
);
create index outbox_requests_destination on outbox_requests (tenant_id, destination, created_at desc);

create table outbox_attempts (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default now(),
    tenant_id text not null,
    entry_id bigint not null references outbox_entries on delete cascade,
    generation int not null,
    fence int not null,
    request_id bigint not null,
    outcome text check (outcome in ('delivered', 'retry', 'throttled', 'refused', 'auth', 'in_doubt')),
    finished_at timestamptz
);
create index outbox_attempts_entry on outbox_attempts (entry_id);

-- What was given up, with its body. Without `entry_id` it was a message that names no entry.
create table outbox_letters (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default now(),
    tenant_id text not null,
    destination text not null,
    entry_id bigint references outbox_entries on delete set null,
    reason text not null,
    detail text,
    attempts int not null default 0,
    body text not null,
    replayed_at timestamptz
);
create index outbox_letters_tenant on outbox_letters (tenant_id, created_at desc);
create unique index outbox_letters_one on outbox_letters (entry_id) where entry_id is not null and replayed_at is null;

-- Row-level security: whoever is not the worker sees the tenant of the setting, and nothing without it.
do $$
declare
    name text;
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
begin
    foreach name in array array['outbox_entries', 'outbox_requests', 'outbox_attempts', 'outbox_letters'] loop
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
        if exists (select from pg_roles where rolname = 'sinal_api') then
            execute format('grant select on %I to sinal_api', name);
        end if;
    end loop;
end $$;
