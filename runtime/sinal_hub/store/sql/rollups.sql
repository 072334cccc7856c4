-- Counts by hour, computed again for every hour in which something changed, and by day from the hours.

-- name: changed_hours
-- An event came or its outcome changed, or one of its deliveries ended. Hours that retention has begun to empty are over.
select distinct h.tenant_id as tenant, h.bucket
from (
    select tenant_id, date_trunc('hour', received_at) as bucket from events
    where changed_at >= %(since)s and received_at >= now() - interval '15 days' and kind <> 'heartbeat'
    union
    select tenant_id, date_trunc('hour', received_at) from capi_events
    where settled_at >= %(since)s and created_at >= now() - interval '15 days'
) h
left join tenants t on t.id = h.tenant_id
where h.bucket >= now() - make_interval(days => coalesce((t.plan ->> 'retention_days')::int, 90)) + interval '1 hour'
order by tenant, h.bucket

-- name: delete_hours
delete from rollups r using json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz)
where r.tenant_id = h.tenant and r.grain = 'hour' and r.bucket = h.bucket

-- name: insert_hours
insert into rollups (tenant_id, grain, bucket, funnel, kind, status, outcome, reason, rule, events)
select e.tenant_id, 'hour', h.bucket, e.funnel, e.kind, coalesce(e.status, ''), o.state, coalesce(o.reason, ''),
    coalesce(m.rule_applied, ''), count(*)
from json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz)
join events e on e.tenant_id = h.tenant and e.received_at >= h.bucket and e.received_at < h.bucket + interval '1 hour'
    and e.kind <> 'heartbeat'
left join matches m on m.conversion_id = e.conversion_id and m.tenant_id = e.tenant_id
left join lateral (
    select bool_or(c.status in ('pending', 'sending')) as flying, bool_or(c.status = 'dead') as dead,
        bool_or(c.status = 'delivered') as delivered, min(c.reason) filter (where c.status = 'dead') as dead_reason,
        min(c.reason) filter (where c.status = 'withheld') as withheld_reason
    from capi_events c
    where e.outcome = 'sent' and c.tenant_id = e.tenant_id and c.source_event = e.id
        and c.created_at >= e.received_at - interval '1 day'
) a on true
cross join lateral (
    select case
            when e.outcome = 'waiting' or a.flying then 'in_flight'
            when e.outcome <> 'sent' then e.outcome
            when a.dead then 'dead'
            when a.delivered then 'delivered'
            when a.delivered is null then 'in_flight'
            else 'withheld' end as state,
        case
            when e.outcome = 'waiting' or a.flying then null
            when e.outcome <> 'sent' then e.reason
            when a.dead then a.dead_reason
            when a.delivered then null
            else a.withheld_reason end as reason
) o
group by e.tenant_id, h.bucket, e.funnel, e.kind, e.status, o.state, o.reason, m.rule_applied

-- name: changed_order_hours
-- An order is counted where it was first heard of; a fact that arrives late may move it back. Tenants are compared so
-- that no index is: on a table not analysed yet the planner took each order for all events of its tenant.
select distinct c.tenant_id as tenant, date_trunc('hour', x.at) as bucket
from events e
join conversions c on c.id = e.conversion_id and (c.tenant_id = e.tenant_id) is true
cross join lateral (
    select c.ts as at
    union
    select o.occurred_at from events o where o.conversion_id = c.id and (o.tenant_id = c.tenant_id) is true
) x
where e.changed_at >= %(since)s and e.received_at >= now() - interval '15 days'
order by tenant, bucket

-- name: delete_order_hours
delete from conversion_rollups r using json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz)
where r.tenant_id = h.tenant and r.grain = 'hour' and r.bucket = h.bucket

-- name: insert_order_hours
insert into conversion_rollups (tenant_id, grain, bucket, funnel, gateway, status, currency, decision, orders, value)
select c.tenant_id, 'hour', h.bucket, c.funnel, c.gateway, coalesce(c.status, ''), coalesce(c.currency, ''),
    coalesce(m.decision, ''), count(*), coalesce(sum(c.amount - case c.status when 'partially_refunded'
        then least(greatest(c.refunded_parts, c.refunded_total, 0), c.amount) else 0 end), 0)
from json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz)
join conversions c on c.tenant_id = h.tenant and c.ts >= h.bucket and c.ts < h.bucket + interval '1 hour'
left join matches m on m.conversion_id = c.id and m.tenant_id = c.tenant_id
group by c.tenant_id, h.bucket, c.funnel, c.gateway, c.status, c.currency, m.decision

-- name: delete_days
with days as (
    select distinct h.tenant, date_trunc('day', h.bucket, h.zone) as day
    from json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz, zone text)
)
delete from rollups r using days d where r.tenant_id = d.tenant and r.grain = 'day' and r.bucket = d.day

-- name: insert_days
-- The tenant's own days, as sums of hours.
with days as (
    select distinct h.tenant, date_trunc('day', h.bucket, h.zone) as day,
        ((date_trunc('day', h.bucket, h.zone) at time zone h.zone) + interval '1 day') at time zone h.zone as ends
    from json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz, zone text)
)
insert into rollups (tenant_id, grain, bucket, funnel, kind, status, outcome, reason, rule, events)
select r.tenant_id, 'day', d.day, r.funnel, r.kind, r.status, r.outcome, r.reason, r.rule, sum(r.events)
from days d
join rollups r on r.tenant_id = d.tenant and r.grain = 'hour' and r.bucket >= d.day and r.bucket < d.ends
group by r.tenant_id, d.day, r.funnel, r.kind, r.status, r.outcome, r.reason, r.rule

-- name: delete_order_days
with days as (
    select distinct h.tenant, date_trunc('day', h.bucket, h.zone) as day
    from json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz, zone text)
)
delete from conversion_rollups r using days d where r.tenant_id = d.tenant and r.grain = 'day' and r.bucket = d.day

-- name: insert_order_days
with days as (
    select distinct h.tenant, date_trunc('day', h.bucket, h.zone) as day,
        ((date_trunc('day', h.bucket, h.zone) at time zone h.zone) + interval '1 day') at time zone h.zone as ends
    from json_to_recordset(%(hours)s::json) as h (tenant text, bucket timestamptz, zone text)
)
insert into conversion_rollups (tenant_id, grain, bucket, funnel, gateway, status, currency, decision, orders, value)
select r.tenant_id, 'day', d.day, r.funnel, r.gateway, r.status, r.currency, r.decision, sum(r.orders), sum(r.value)
from days d
join conversion_rollups r on r.tenant_id = d.tenant and r.grain = 'hour' and r.bucket >= d.day and r.bucket < d.ends
group by r.tenant_id, d.day, r.funnel, r.gateway, r.status, r.currency, r.decision
