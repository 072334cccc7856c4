-- Facts of all tenants for their statuses. Each statement is bounded by the number of tenants, or by what happened
-- since the last look.

-- name: sight
insert into sightings as s (tenant_id, funnel, integration, last_at)
select tenant_id, funnel, coalesce(integration, ''), max(received_at) from events
where changed_at >= %(since)s and received_at >= now() - interval '15 days' and kind <> 'heartbeat'
group by 1, 2, 3
order by 1, 2, 3
on conflict (tenant_id, funnel, integration) do update set last_at = excluded.last_at
    where s.last_at < excluded.last_at

-- name: sightings
select tenant_id as tenant, funnel, integration, last_at from sightings

-- name: volumes
select tenant_id as tenant, funnel, sum(events)::bigint as events from rollups
where grain = 'hour' and bucket >= now() - interval '24 hours'
group by 1, 2

-- name: decisions
select tenant_id as tenant, funnel, sum(orders)::bigint as decided,
    coalesce(sum(orders) filter (where decision = 'match'), 0)::bigint as matched
from conversion_rollups
where grain = 'hour' and bucket >= now() - interval '24 hours' and decision <> ''
group by 1, 2

-- name: tallies
select tenant_id as tenant, integration, sum(rejects)::bigint as rejects, sum(drift)::bigint as drift,
    max(last_at) as last_at
from tallies where hour >= now() - interval '24 hours'
group by 1, 2

-- name: quiet
-- Nothing for a day, though each of the seven days before the last event had some.
select q.tenant
from (
    select tenant_id as tenant, max(last_at) as last_at from sightings group by 1
    having max(last_at) < now() - interval '24 hours'
) q
where 7 = (
    select count(distinct floor(extract(epoch from q.last_at - r.bucket) / 86400)) from rollups r
    where r.tenant_id = q.tenant and r.grain = 'hour' and r.bucket <= q.last_at
        and r.bucket > q.last_at - interval '7 days'
)

-- name: deliveries
-- A breaker counts unless its destination has taken events since, from whichever process, or its process is gone.
select d.tenant, d.destination, success.at as last_success, answer.verdict, answer.code, answer.subcode,
    answer.at as answered_at, breaker.open, breaker.reason, breaker.open_until, coalesce(dead.waiting, 0) as dead_letters,
    coalesce(dead.recent, 0) as recently_dead, coalesce(taken.events, 0) as recently_delivered
from json_to_recordset(%(lanes)s::json) as d (tenant text, destination text)
left join lateral (
    select r.finished_at as at from dispatch_requests r
    where r.tenant_id = d.tenant and r.destination = d.destination and r.verdict = 'delivered'
    order by r.created_at desc limit 1
) success on true
left join lateral (
    select r.verdict, r.code, r.subcode, r.finished_at as at from dispatch_requests r
    where r.tenant_id = d.tenant and r.destination = d.destination and r.verdict is not null
    order by r.created_at desc limit 1
) answer on true
left join lateral (
    select c.open_until > now() as open, c.reason, c.open_until from circuits c
    where c.tenant_id = d.tenant and c.destination = d.destination
        and c.changed_at > coalesce(success.at, '-infinity') and c.open_until > now() - interval '10 minutes'
    order by c.changed_at desc limit 1
) breaker on true
left join lateral (
    select count(*) as waiting, count(*) filter (where l.created_at > now() - interval '1 hour') as recent
    from dead_letters l
    where l.tenant_id = d.tenant and l.destination = d.destination and l.replayed_at is null
) dead on true
left join lateral (
    select sum(r.events) as events from dispatch_requests r
    where dead.recent > 0 and r.tenant_id = d.tenant and r.destination = d.destination and r.verdict = 'delivered'
        and r.created_at > now() - interval '1 hour'
) taken on true

-- name: note_circuit
insert into circuits as c (tenant_id, destination, worker, reason, open_until)
values (%(tenant)s, %(destination)s, %(worker)s, %(reason)s, now() + make_interval(secs => %(wait_s)s))
on conflict (tenant_id, destination, worker) do update
    set reason = excluded.reason, changed_at = now(), open_until = excluded.open_until

-- name: close_circuit
delete from circuits where tenant_id = %(tenant)s and destination = %(destination)s and worker = %(worker)s

-- name: note_tallies
-- A process tells what it has counted in the hour so far, so that to tell it twice changes nothing.
insert into tallies as t (tenant_id, integration, hour, worker, rejects, drift, last_at)
select n.tenant, n.integration, to_timestamp(n.hour), n.worker, n.rejects, n.drift, to_timestamp(n.last_at)
from json_to_recordset(%(tallies)s::json)
    as n (tenant text, integration text, hour bigint, worker text, rejects int, drift int, last_at bigint)
on conflict (tenant_id, integration, hour, worker) do update set
    rejects = greatest(t.rejects, excluded.rejects), drift = greatest(t.drift, excluded.drift),
    last_at = greatest(t.last_at, excluded.last_at)

-- name: note_refused
insert into refusals as t (tenant_id, integration, gateway, reason, missing, network, hour, worker, deliveries, first_at,
    last_at)
select n.tenant, n.integration, n.gateway, n.reason, n.missing, n.network, to_timestamp(n.hour), n.worker, n.deliveries,
    to_timestamp(n.first_at), to_timestamp(n.last_at)
from json_to_recordset(%(refused)s::json) as n (tenant text, integration text, gateway text, reason text, missing text,
    network text, hour bigint, worker text, deliveries int, first_at bigint, last_at bigint)
on conflict (tenant_id, integration, hour, worker, gateway, reason, missing, network) do update set
    deliveries = greatest(t.deliveries, excluded.deliveries), last_at = greatest(t.last_at, excluded.last_at)

-- name: note_spool
insert into spools (worker, records, bytes, oldest_at, told_at)
values (%(worker)s, %(records)s, %(bytes)s, to_timestamp(%(oldest_at)s), now())
on conflict (worker) do update set records = excluded.records, bytes = excluded.bytes,
    oldest_at = excluded.oldest_at, told_at = excluded.told_at
