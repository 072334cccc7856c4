-- In this order, a transaction each: what is older than its tenant's `retention_days` (90 where it says nothing).

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

-- name: matches
delete from matches d using conversions c, tenants t
where d.conversion_id = c.id and c.tenant_id = t.id and c.order_key not like 'gone:%%'
    and c.last_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: open_orders
delete from open_orders d using tenants t
where d.tenant_id = t.id and d.last_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: order_names
delete from order_names d using tenants t
where d.tenant_id = t.id and d.last_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: conversions
-- An order stays as an amount and a state, without its id and its buyer.
update conversions d set order_key = 'gone:' || d.id, order_id = null, parent_order_id = null, email_hash = null,
    phone_hash = null, signals = '{}', hold_until = null, recheck_at = null
from tenants t
where d.tenant_id = t.id and d.order_key not like 'gone:%%' and d.last_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: conversions_of_last_year
delete from conversions where last_at < %(now)s - interval '13 months'

-- name: claims_hashed
-- In two steps, so that a batch of matching that is under way finds one of the two: first the hash beside the claim,
-- a later run takes the claim away.
insert into claims (tenant_id, claim_key, source, owner, first_seen_at)
select d.tenant_id, sinal_hashed_claim(d.tenant_id, d.claim_key), d.source, d.owner, %(now)s
from claims d join tenants t on t.id = d.tenant_id
where d.expires_at is null and d.claim_key like 'Purchase:%%:%%' and d.first_seen_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))
on conflict (tenant_id, claim_key) do nothing

-- name: claims_in_clear
delete from claims d using claims h, tenants t
where d.tenant_id = t.id and d.expires_at is null and d.claim_key like 'Purchase:%%:%%'
    and d.first_seen_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90)) and h.tenant_id = d.tenant_id
    and h.claim_key = sinal_hashed_claim(d.tenant_id, d.claim_key) and h.first_seen_at < %(now)s - interval '10 minutes'

-- name: dead_letters
delete from dead_letters d using tenants t
where d.tenant_id = t.id and d.created_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: setup_sessions
delete from setup_sessions d using tenants t
where d.tenant_id = t.id and d.updated_at < %(now)s - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90))

-- name: dedupe_registry
delete from claims where expires_at < %(now)s

-- name: privacy_marks
delete from privacy_marks where expires_at < %(now)s

-- name: erasures
-- What was asked and done stays in the audit log.
delete from erasures where state = 'done' and finished_at < %(now)s - interval '13 months'

-- name: rollups
delete from rollups where bucket < %(now)s - interval '13 months'

-- name: conversion_rollups
delete from conversion_rollups where bucket < %(now)s - interval '13 months'

-- name: tallies
delete from tallies where hour < %(now)s - interval '2 days'

-- name: refusals
delete from refusals where hour < %(now)s - interval '2 days'

-- name: spools
-- Of processes that are gone: while events wait there, one that lives tells of them every few seconds.
delete from spools where told_at < %(now)s - interval '1 day'

-- name: circuits
-- Of processes that are gone; one that lives writes its own again.
delete from circuits where open_until < %(now)s - interval '1 day'

-- name: sightings
-- Of tenants that are gone, and of what stood in events that are gone.
delete from sightings where last_at < %(now)s - interval '13 months'
