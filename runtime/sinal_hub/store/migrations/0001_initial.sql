-- Every table of the system. `tenant_id` is the tenant's slug. Tables that grow with traffic are partitioned by time
-- and lose data by dropping partitions; uniqueness over time belongs to dedupe_registry, which is not partitioned.

create table tenants (
    id text primary key,
    name text not null,
    plan jsonb not null default '{}',
    status text not null default 'active' check (status in ('active', 'suspended', 'deleted')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table funnels (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    name text not null,
    type text not null,
    config_json jsonb not null default '{}',
    active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (tenant_id, name)
);

-- One row an accepted fact. `outcome` is what matching decided; `sent` means that capi_events knows the rest.
create table events (
    id text not null,
    received_at timestamptz not null,
    occurred_at timestamptz not null,
    tenant_id text not null,
    funnel text not null,
    kind text not null,
    source text not null,
    event_id text,
    status text,
    gateway text,
    integration text,
    order_id text,
    click_id text,
    value numeric(18, 2),
    currency text,
    email_hash text,
    consent_ads boolean,
    conversion_id bigint,
    outcome text not null check (outcome in ('sent', 'waiting', 'withheld', 'dead')),
    reason text,
    repeats int not null default 0,
    body jsonb not null,
    primary key (id, received_at)
) partition by range (received_at);
create index events_tenant_time on events (tenant_id, received_at desc, id desc);
create index events_order on events (tenant_id, order_id) where order_id is not null;
create index events_click on events (tenant_id, click_id) where click_id is not null;
create index events_email on events (tenant_id, email_hash) where email_hash is not null;
create index events_conversion on events (conversion_id) where conversion_id is not null;

-- One row a visitor's click id: what is known of the browser behind it. `ts` is when it was seen first.
create table clicks (
    id bigint generated always as identity,
    ts timestamptz not null,
    tenant_id text not null,
    funnel text not null,
    click_id text not null,
    session_id text,
    external_id text,
    fbclid text,
    fbc text,
    fbp text,
    utms jsonb not null default '{}',
    ip text,
    ua text,
    url text,
    referrer text,
    user_data jsonb not null default '{}',
    products text[] not null default '{}',
    from_ad boolean not null default false,
    consent_ads boolean,
    last_seen_at timestamptz not null,
    primary key (id, ts)
) partition by range (ts);
create index clicks_tenant_ts on clicks (tenant_id, ts desc);
create index clicks_fbc on clicks (tenant_id, fbc) where fbc is not null;
create index clicks_fbclid on clicks (tenant_id, fbclid) where fbclid is not null;
-- Matching looks visitors up by tenant and one value within a span of time. In a young partition without statistics the
-- planner can't tell an index that starts with the tenant from clicks_tenant_ts and may scan the week; tenant and value
-- as one expression leave it no choice.
create index clicks_by_click_id on clicks ((tenant_id || '|' || click_id), ts);
create index clicks_by_session on clicks ((tenant_id || '|' || session_id), ts) where session_id is not null;
create index clicks_by_external on clicks ((tenant_id || '|' || external_id), ts) where external_id is not null;
create index clicks_by_fbclid on clicks ((tenant_id || '|' || fbclid), ts) where fbclid is not null;
create index clicks_by_fbp on clicks ((tenant_id || '|' || fbp), ts) where fbp is not null;
create index clicks_by_ip on clicks ((tenant_id || '|' || ip), ts desc) where ip is not null;

create table sessions (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    session_id text not null,
    first_click_id text,
    last_click_id text,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    unique (tenant_id, session_id)
);
create index sessions_last_seen on sessions (last_seen_at);

-- One row a hash seen with a click; exactly one of the two hashes is set.
create table identities (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    email_hash text,
    phone_hash text,
    click_id text not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    check (num_nonnulls(email_hash, phone_hash) = 1),
    unique nulls not distinct (tenant_id, click_id, email_hash, phone_hash)
);
create index identities_email on identities (tenant_id, email_hash) where email_hash is not null;
create index identities_phone on identities (tenant_id, phone_hash) where phone_hash is not null;
create index identities_last_seen on identities (last_seen_at);

-- One row an order of a gateway. `order_key` is the order id, or the event's id where the gateway names no order.
create table conversions (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    gateway text not null,
    order_key text not null,
    order_id text,
    parent_order_id text,
    funnel text not null,
    integration text,
    amount numeric(18, 2),
    currency text,
    status text,
    status_at timestamptz,
    ts timestamptz not null,
    last_at timestamptz not null,
    email_hash text,
    phone_hash text,
    signals jsonb not null default '{}',
    hold_until timestamptz,
    recheck_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (tenant_id, order_key, gateway)
);
create index conversions_ts on conversions (tenant_id, ts desc);
create index conversions_email on conversions (tenant_id, email_hash) where email_hash is not null;
create index conversions_phone on conversions (tenant_id, phone_hash) where phone_hash is not null;
create index conversions_hold on conversions (hold_until) where hold_until is not null;
create index conversions_recheck on conversions (recheck_at) where recheck_at is not null;

-- By what an order without a match is found again when a click arrives late; gone once it is matched or too old.
create table open_orders (
    tenant_id text not null,
    key text not null,
    conversion_id bigint not null references conversions on delete cascade,
    last_at timestamptz not null,
    primary key (tenant_id, key, conversion_id)
);
create index open_orders_conversion on open_orders (conversion_id);
create index open_orders_last_at on open_orders (last_at);

create table matches (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    conversion_id bigint not null unique references conversions on delete cascade,
    click_id text,
    decision text not null check (decision in ('match', 'review', 'unmatched')),
    confidence_score double precision not null,
    rule_applied text not null,
    explanation jsonb not null,
    revision int not null default 0,
    matched_at timestamptz not null default now()
);
create index matches_decision on matches (tenant_id, decision, matched_at desc);
create index matches_click on matches (tenant_id, click_id) where click_id is not null;

-- The outbox and the state of every delivery.
create table capi_events (
    id bigint generated always as identity,
    created_at timestamptz not null default now(),
    tenant_id text not null,
    source_event text not null,
    conversion_id bigint,
    funnel text not null,
    destination text not null,
    event_name text not null,
    event_id text not null,
    event_time bigint not null,
    payload_json text not null,
    consent_ads boolean,
    received_at timestamptz not null,
    status text not null default 'pending'
        check (status in ('pending', 'sending', 'delivered', 'withheld', 'dead')),
    reason text,
    attempts int not null default 0,
    in_doubt int not null default 0,
    generation int not null default 0,
    published_at timestamptz,
    lease_until timestamptz,
    next_attempt_at timestamptz,
    settled_at timestamptz,
    primary key (id, created_at)
) partition by range (created_at);
create index capi_events_status on capi_events (tenant_id, status, created_at);
create index capi_events_source on capi_events (tenant_id, source_event);
create index capi_events_unpublished on capi_events (created_at) where published_at is null and status = 'pending';

create table dispatch_requests (
    id bigint generated always as identity,
    created_at timestamptz not null default now(),
    tenant_id text not null,
    destination text not null,
    events int not null,
    http_status int,
    code int,
    subcode int,
    fbtrace_id text,
    answer text check (length(answer) <= 2000),
    latency_ms int,
    finished_at timestamptz,
    primary key (id, created_at)
) partition by range (created_at);
create index dispatch_requests_destination on dispatch_requests (tenant_id, destination, created_at desc);

create table dispatch_attempts (
    id bigint generated always as identity,
    created_at timestamptz not null default now(),
    tenant_id text not null,
    capi_event_id bigint not null,
    capi_created_at timestamptz not null,
    attempt_no int not null,
    request_id bigint,
    outcome text check (outcome in ('delivered', 'retry', 'throttled', 'refused', 'auth', 'in_doubt')),
    http_status int,
    code int,
    subcode int,
    provider_response text,
    finished_at timestamptz,
    primary key (id, created_at)
) partition by range (created_at);
create index dispatch_attempts_event on dispatch_attempts (capi_event_id);

-- Who claimed a key first: `event_id` is the claim, `owner` the event that made it. No expiry: for ever.
create table dedupe_registry (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    event_id text not null,
    source text not null,
    owner text not null,
    first_seen_at timestamptz not null default now(),
    expires_at timestamptz,
    unique (tenant_id, event_id)
);
create index dedupe_registry_expiry on dedupe_registry (expires_at) where expires_at is not null;

create table dead_letters (
    id bigint generated always as identity primary key,
    created_at timestamptz not null default now(),
    tenant_id text not null,
    stage text not null check (stage in ('match', 'dispatch')),
    event_row text,
    capi_event_id bigint,
    capi_created_at timestamptz,
    destination text,
    reason text not null,
    detail text,
    attempts int not null default 0,
    body text,
    replayed_at timestamptz
);
create index dead_letters_tenant on dead_letters (tenant_id, created_at desc);
create unique index dead_letters_one_dispatch on dead_letters (tenant_id, capi_event_id, capi_created_at)
    where stage = 'dispatch' and replayed_at is null;
create unique index dead_letters_one_match on dead_letters (tenant_id, event_row)
    where stage = 'match' and event_row is not null and replayed_at is null;

create table setup_sessions (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    state text not null,
    state_json jsonb not null default '{}',
    provider_meta text,
    provider_gateway text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index setup_sessions_tenant on setup_sessions (tenant_id, created_at desc);

create table setup_messages (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    setup_session_id bigint not null references setup_sessions on delete cascade,
    role text not null,
    content text not null,
    created_at timestamptz not null default now()
);
create index setup_messages_session on setup_messages (setup_session_id, id);

create table setup_action_logs (
    id bigint generated always as identity primary key,
    tenant_id text not null,
    setup_session_id bigint not null references setup_sessions on delete cascade,
    tool_name text not null,
    input_json jsonb not null,
    output_json jsonb,
    status text not null,
    created_at timestamptz not null default now()
);
create index setup_action_logs_session on setup_action_logs (setup_session_id, id);

-- Nothing is ever refused for its date.
create table events_default partition of events default;
create table clicks_default partition of clicks default;
create table capi_events_default partition of capi_events default;
create table dispatch_requests_default partition of dispatch_requests default;
create table dispatch_attempts_default partition of dispatch_attempts default;

-- Roles are of the whole server: another database may have made them, or the operator of a managed server.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['sinal_worker', 'sinal_api'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise warning 'role % is missing and may not be created: create it before the first migration', role_name;
            end;
        end if;
        if exists (select from pg_roles where rolname = role_name)
            and not pg_has_role(current_user, role_name, 'usage') then
            begin
                execute format('grant %I to current_user', role_name);
            exception
                when insufficient_privilege then
                    raise warning 'role % may not be granted to %', role_name, current_user;
            end;
        end if;
    end loop;
    -- The operations API reads as the worker for an administrator, and steps down to sinal_api for a tenant's key.
    begin
        grant sinal_api to sinal_worker;
    exception
        when undefined_object or insufficient_privilege then
            raise warning 'sinal_api may not be granted to sinal_worker: grant it, or give the API a login of its own';
    end;
end $$;

-- Row-level security: whoever is not the worker sees the tenant of the setting, and nothing without it.
do $$
declare
    name text;
    tenant_column text;
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
    api boolean := exists (select from pg_roles where rolname = 'sinal_api');
begin
    foreach name in array array[
        'tenants', 'funnels', 'events', 'clicks', 'sessions', 'identities', 'conversions', 'open_orders', 'matches',
        'capi_events',
        'dispatch_requests', 'dispatch_attempts', 'dedupe_registry', 'dead_letters',
        'setup_sessions', 'setup_messages', 'setup_action_logs'
    ] loop
        tenant_column := case name when 'tenants' then 'id' else 'tenant_id' end;
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy tenant on %1$I using (%2$I = current_setting(''sinal.tenant'', true)) '
            'with check (%2$I = current_setting(''sinal.tenant'', true))', name, tenant_column);
        execute format('create policy worker on %I to %s using (true) with check (true)', name, worker);
        if worker <> 'current_user' then
            execute format('grant select, insert, update, delete on %I to %s', name, worker);
            -- An owner that may not join the worker role still works on its own tables.
            if not pg_has_role(current_user, 'sinal_worker', 'usage') then
                execute format('create policy owner on %I to current_user using (true) with check (true)', name);
            end if;
        end if;
        if api then
            execute format('grant select on %I to sinal_api', name);
        end if;
    end loop;
    if api then
        grant insert, update on dead_letters, matches, setup_sessions, setup_messages, setup_action_logs to sinal_api;
    end if;
end $$;
