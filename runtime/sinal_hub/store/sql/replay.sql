-- What may be sent again, and sending it again. Selections run under the tenant's row-level security; changes name the
-- tenant of each row they were shown.

-- name: deliveries_of
-- Rows of the outbox of these events.
select c.tenant_id as tenant, c.source_event as event, c.id, c.created_at, c.destination, c.status, c.reason,
    c.generation, c.event_time, c.settled_at
from capi_events c
where c.source_event = any(%(events)s) and c.tenant_id = any(%(tenants)s) and c.created_at >= %(since)s
    and (%(destination)s::text is null or c.destination = %(destination)s)
order by c.created_at, c.id

-- name: unsent_of
-- Events that never came to the outbox, with the newest dead letter of those that died before it.
select e.tenant_id as tenant, e.id as event, e.received_at, e.conversion_id, e.outcome, e.reason, l.id as letter
from events e
left join lateral (
    select l.id from dead_letters l
    where e.outcome = 'dead' and l.tenant_id = e.tenant_id and l.event_row = e.id and l.stage = 'match'
        and l.body is not null
    order by l.id desc limit 1
) l on true
where e.id = any(%(events)s) and e.tenant_id = any(%(tenants)s) and e.received_at >= %(since)s and e.outcome <> 'sent'
order by e.received_at, e.id

-- name: letters
-- Dead letters nobody has replayed, each with the code of its last attempt.
with open_letters as (
    select l.id, l.created_at, l.tenant_id, l.stage, l.event_row, l.capi_event_id, l.capi_created_at, l.destination,
        l.reason, l.detail, l.attempts, l.body is not null as has_body, a.code, a.subcode
    from dead_letters l
    left join lateral (
        select a.code, a.subcode from dispatch_attempts a
        where l.capi_event_id is not null and a.capi_event_id = l.capi_event_id and a.tenant_id = l.tenant_id
            and a.created_at >= l.capi_created_at - interval '1 day' and a.created_at <= l.created_at + interval '1 hour'
        order by a.created_at desc, a.id desc limit 1
    ) a on true
    where l.replayed_at is null and (%(tenant)s::text is null or l.tenant_id = %(tenant)s)
)

-- name: letter_groups
select tenant_id as tenant, stage, reason, code, subcode, destination, count(*)::int as count,
    min(created_at) as first_at, max(created_at) as last_at,
    (array_agg(event_row order by id desc) filter (where event_row is not null))[1:5] as sample,
    (array_agg(detail order by id desc) filter (where detail is not null))[1] as detail
from open_letters
group by tenant_id, stage, reason, code, subcode, destination
order by count(*) desc, tenant_id, stage, reason, code, subcode, destination
limit %(limit)s

-- name: letters_of_group
select tenant_id as tenant, id as letter, event_row as event, stage, destination, capi_event_id, capi_created_at, has_body
from open_letters
where stage = %(stage)s and reason = %(reason)s and code is not distinct from %(code)s
    and subcode is not distinct from %(subcode)s and destination is not distinct from %(destination)s
    and id > %(after)s and created_at <= %(until)s
order by id limit %(limit)s

-- name: deliveries_by_id
select c.tenant_id as tenant, c.source_event as event, c.id, c.created_at, c.destination, c.status, c.reason,
    c.generation, c.event_time, c.settled_at
from json_to_recordset(%(rows)s::json) as r (id bigint, created_at timestamptz)
join capi_events c on c.id = r.id and c.created_at = r.created_at
where c.created_at >= %(since)s and c.created_at <= %(until)s
order by c.created_at, c.id

-- name: send_again
-- A row moves only from the state it was shown in, so that nobody's claim is taken away.
with moved as (
    update capi_events c set
        status = 'pending', reason = null, generation = c.generation + 1, published_at = null, lease_until = null,
        next_attempt_at = null, settled_at = null
    from json_to_recordset(%(rows)s::json) as r (
        id bigint, created_at timestamptz, tenant text, status text, generation int)
    where c.id = r.id and c.created_at = r.created_at and c.tenant_id = r.tenant and c.status = r.status
        and c.generation = r.generation and c.created_at >= %(since)s and c.created_at <= %(until)s
    returning c.id, c.created_at, c.tenant_id, c.destination, c.event_id, c.generation
), played as (
    update dead_letters l set replayed_at = now() from moved m
    where l.stage = 'dispatch' and l.capi_event_id = m.id and l.capi_created_at = m.created_at
        and l.tenant_id = m.tenant_id and l.replayed_at is null
)
select id, created_at, tenant_id, destination, event_id, generation from moved

-- name: lock_orders
select id from conversions where id = any(%(ids)s) order by id for update

-- name: judge_again
-- The event is given back to matching as if it were new: its claim goes, its row may be written over. The letter holds
-- it until the broker has it.
with again as (
    update events e set outcome = 'dead', reason = 'replay'
    from json_to_recordset(%(rows)s::json) as r (event text, received_at timestamptz, tenant text, reason text)
    where e.id = r.event and e.received_at = r.received_at and e.tenant_id = r.tenant and e.outcome = 'withheld'
        and e.reason = r.reason
    returning e.id, e.tenant_id, e.body::text as body
), freed as (
    delete from claims d using again a
    where d.tenant_id = a.tenant_id and d.claim_key = 'in:' || a.id and d.source = 'event'
)
insert into dead_letters as l (tenant_id, stage, event_row, reason, detail, body)
select tenant_id, 'match', id, 'replay', 'asked to be judged again', body from again
on conflict (tenant_id, event_row) where stage = 'match' and event_row is not null and replayed_at is null
    do update set body = excluded.body
returning l.id

-- name: letter_bodies
select id, tenant_id as tenant, body from dead_letters where id = any(%(ids)s) and body is not null order by id

-- name: letters_played
update dead_letters set replayed_at = now() where id = any(%(ids)s) and replayed_at is null
