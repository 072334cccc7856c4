-- What the operations API reads. The list's WHERE clause is put together from the `where_` fragments below.

-- name: events
-- The state of an event: what matching decided, or the sum of its deliveries.
select e.id, e.event_id, e.kind, e.status, e.tenant_id, e.funnel, e.gateway, e.order_id, e.value::text as value,
    e.currency, e.occurred_at, e.received_at, m.explanation::text as explanation, o.state, o.reason
from events e
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
where

-- name: where_any
true

-- name: where_id
e.id = %(id)s

-- name: where_ids
e.id = any(%(ids)s)

-- name: where_tenant
e.tenant_id = %(tenant)s

-- name: where_funnel
e.funnel = %(funnel)s

-- name: where_kind
e.kind = %(kind)s

-- name: where_status
e.status = %(status)s

-- name: where_gateway
e.gateway = %(gateway)s

-- name: where_order_id
e.order_id = %(order_id)s

-- name: where_click_id
(e.click_id = %(click_id)s
    or e.conversion_id in (select conversion_id from matches where click_id = %(click_id)s and tenant_id = e.tenant_id))

-- name: where_outcome
o.state = %(outcome)s

-- name: where_reason
o.reason = %(reason)s

-- name: where_delivery
-- Outcome and reason of the delivery to one destination, whatever became of the event's others.
exists (
    select from capi_events c
    where e.outcome = 'sent' and c.tenant_id = e.tenant_id and c.source_event = e.id
        and c.created_at >= e.received_at - interval '1 day' and c.destination = %(destination)s
        and (%(outcome)s::text is null
            or case when c.status in ('pending', 'sending') then 'in_flight' else c.status end = %(outcome)s)
        and (%(reason)s::text is null or c.reason = %(reason)s)
)

-- name: where_decision
m.decision = %(decision)s

-- name: where_email_sha256
e.email_hash = %(email_sha256)s

-- name: where_since
e.received_at >= %(since)s

-- name: where_until
e.received_at < %(until)s

-- name: where_before
(e.received_at, e.id) < (%(before_at)s, %(before_id)s)

-- name: newest_first
order by e.received_at desc, e.id desc limit %(limit)s

-- name: deliveries
select c.source_event, c.id, c.destination, c.status as state
from capi_events c
where c.source_event = any(%(ids)s) and c.tenant_id = any(%(tenants)s) and c.created_at >= %(since)s
order by c.destination, c.id

-- name: payloads
select c.id, c.payload_json, case when c.settled_at is null then c.next_attempt_at end as next_at
from capi_events c
where c.id = any(%(ids)s) and c.created_at >= %(since)s

-- name: attempts
select a.capi_event_id, a.created_at as at, a.attempt_no as number, a.outcome, q.events, a.http_status, a.code,
    a.subcode, q.latency_ms, q.fbtrace_id, coalesce(a.provider_response, q.answer) as answer
from dispatch_attempts a
left join dispatch_requests q on q.id = a.request_id and q.created_at = a.created_at
where a.capi_event_id = any(%(ids)s) and a.created_at >= %(since)s
order by a.created_at, a.attempt_no, a.id

-- name: ledger
-- A message that could not be read has no row in events: it counts by its dead letter.
with settled as (
    select case
            when e.outcome = 'waiting' or a.flying then 'in_flight'
            when e.outcome <> 'sent' then e.outcome
            when a.dead then 'dead'
            when a.delivered then 'delivered'
            when a.delivered is null then 'in_flight'
            else 'withheld' end as state
    from events e
    left join (
        select tenant_id, source_event, bool_or(status in ('pending', 'sending')) as flying,
            bool_or(status = 'dead') as dead, bool_or(status = 'delivered') as delivered
        from capi_events
        where %(tenant)s::text is null or tenant_id = %(tenant)s
        group by tenant_id, source_event
    ) a on a.tenant_id = e.tenant_id and a.source_event = e.id and e.outcome = 'sent'
    where %(tenant)s::text is null or e.tenant_id = %(tenant)s
    union all
    select 'dead' from dead_letters
    where stage = 'match' and event_row is null and (%(tenant)s::text is null or tenant_id = %(tenant)s)
)
select count(*) as accepted, count(*) filter (where state = 'delivered') as delivered,
    count(*) filter (where state = 'withheld') as withheld, count(*) filter (where state = 'dead') as dead,
    count(*) filter (where state = 'in_flight') as in_flight
from settled
