-- One statement a table, named after it: rows older than their tenant's `retention_days` (90 where it says nothing).

-- name: events
delete from events d using tenants t
where d.tenant_id = t.id and d.received_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: clicks
delete from clicks d using tenants t
where d.tenant_id = t.id and d.ts < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: capi_events
delete from capi_events d using tenants t
where d.tenant_id = t.id and d.created_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: dispatch_requests
delete from dispatch_requests d using tenants t
where d.tenant_id = t.id and d.created_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: dispatch_attempts
delete from dispatch_attempts d using tenants t
where d.tenant_id = t.id and d.created_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: sessions
delete from sessions d using tenants t
where d.tenant_id = t.id and d.last_seen_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: identities
delete from identities d using tenants t
where d.tenant_id = t.id and d.last_seen_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: conversions
delete from conversions d using tenants t
where d.tenant_id = t.id and d.last_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: dead_letters
delete from dead_letters d using tenants t
where d.tenant_id = t.id and d.created_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: setup_sessions
delete from setup_sessions d using tenants t
where d.tenant_id = t.id and d.updated_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: dedupe_registry
delete from dedupe_registry where expires_at < %(now)s
