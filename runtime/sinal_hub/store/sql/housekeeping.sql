-- Leases, stranded deliveries, heartbeats and the check of the ledger.

-- name: due
-- A look: what is not due is not written to, or locked.
select c.name, coalesce(extract(epoch from greatest(l.due_at, l.held_until) - now()), 0)::float8 as in_s
from unnest(%(names)s::text[]) as c (name) left join leases l on l.name = c.name

-- name: take
-- Whoever comes first when the chore is due has it; nobody while somebody else holds it.
insert into leases as l (name, holder, held_until) values (%(name)s, %(holder)s, now() + make_interval(secs => %(lease_s)s))
on conflict (name) do update set holder = excluded.holder, held_until = excluded.held_until
    where l.due_at <= now() and (l.held_until is null or l.held_until < now())
returning last_success_at

-- name: renew
update leases set held_until = now() + make_interval(secs => %(lease_s)s)
where name = %(name)s and holder = %(holder)s and held_until >= now()

-- name: succeeded
update leases set held_until = null, due_at = now() + make_interval(secs => %(due_in_s)s), last_success_at = now()
where name = %(name)s and holder = %(holder)s

-- name: failed
update leases set held_until = null, due_at = now() + make_interval(secs => %(due_in_s)s), last_failure_at = now(),
    failures = failures + 1
where name = %(name)s and holder = %(holder)s

-- name: leases
select name, extract(epoch from last_success_at)::float8 as last_success from leases

-- name: stranded_lanes
-- Lanes with a row that somebody should have worked on for so long: one such row is reason to look at the lane.
select l.tenant, l.destination
from json_to_recordset(%(lanes)s::json) as l (tenant text, destination text)
where exists (
    select from capi_events c
    where c.tenant_id = l.tenant and c.destination = l.destination and c.created_at >= now() - interval '8 days'
        and c.settled_at is null and c.status in ('pending', 'sending')
        and case c.status
            when 'pending' then c.published_at < now() - make_interval(secs => %(idle_s)s)
                and coalesce(c.next_attempt_at, '-infinity') < now() - make_interval(secs => %(idle_s)s)
            else coalesce(c.lease_until, '-infinity') < now() - make_interval(secs => %(idle_s)s) end)

-- name: requeue
-- A row in doubt stays `sending`: its next claim must know that a lost worker may have sent it. Conditions are asked of
-- the row itself, so that a claim or settlement in between wins.
with lost as (
    select c.id, c.created_at, c.generation from capi_events c
    where c.tenant_id = %(tenant)s and c.destination = %(destination)s and c.created_at >= now() - interval '8 days'
        and c.settled_at is null and c.status in ('pending', 'sending')
        and case c.status
            when 'pending' then c.published_at < now() - make_interval(secs => %(idle_s)s)
                and coalesce(c.next_attempt_at, '-infinity') < now() - make_interval(secs => %(idle_s)s)
            else coalesce(c.lease_until, '-infinity') < now() - make_interval(secs => %(idle_s)s) end
    order by c.created_at, c.id limit %(limit)s
)
update capi_events c set generation = c.generation + 1, published_at = null
from lost l
where c.id = l.id and c.created_at = l.created_at and c.generation = l.generation
    and c.created_at >= now() - interval '8 days' and c.status in ('pending', 'sending')
    and case c.status
        when 'pending' then coalesce(c.next_attempt_at, '-infinity') < now() - make_interval(secs => %(idle_s)s)
        else coalesce(c.lease_until, '-infinity') < now() - make_interval(secs => %(idle_s)s) end
returning c.id, c.created_at, c.tenant_id, c.destination, c.event_id, c.generation

-- name: requeue_lost
-- Rows whose message was in a stream that is no more; those that a worker holds now come later.
with lost as (
    select c.id, c.created_at, c.generation, b.born
    from json_to_recordset(%(births)s::json) as b (tenant text, born timestamptz), lateral (
        select id, created_at, generation from capi_events
        where tenant_id = b.tenant and created_at >= now() - interval '8 days' and published_at < b.born
            and settled_at is null
            and (status = 'pending' or (status = 'sending' and coalesce(lease_until, '-infinity') < now()))
        order by created_at, id limit %(limit)s) c
    limit %(limit)s
)
update capi_events c set generation = c.generation + 1, published_at = null
from lost l
where c.id = l.id and c.created_at = l.created_at and c.generation = l.generation
    and c.created_at >= now() - interval '8 days' and c.published_at < l.born
    and (c.status = 'pending' or (c.status = 'sending' and coalesce(c.lease_until, '-infinity') < now()))
returning c.id, c.created_at, c.tenant_id, c.destination, c.event_id, c.generation

-- name: lost_left
select b.tenant from json_to_recordset(%(births)s::json) as b (tenant text, born timestamptz)
where exists (
    select from capi_events c
    where c.tenant_id = b.tenant and c.created_at >= now() - interval '8 days' and c.published_at < b.born
        and c.settled_at is null and c.status in ('pending', 'sending'))

-- name: next_to_beat
select t.slug from unnest(%(tenants)s::text[]) as t (slug) left join heartbeats h on h.tenant_id = t.slug
order by h.sent_at nulls first, t.slug limit 1

-- name: beat
insert into heartbeats (tenant_id, event_id, sent_at) values (%(tenant)s, %(id)s, clock_timestamp())
on conflict (tenant_id) do update set event_id = excluded.event_id, sent_at = excluded.sent_at

-- name: last_beat
-- Both times are PostgreSQL's, so that no two clocks are compared.
select tenant_id as tenant, seconds, extract(epoch from clock_timestamp() - stored_at)::float8 as age_s
from heartbeats where stored_at is not null order by stored_at desc limit 1

-- name: faults
-- Whatever keeps accepted = delivered + withheld + dead + in flight from being true: an event of no state, a state that
-- nothing proves, or one that will never end. Rows of the last `grace_s` are left alone: they are being worked on.
select f.tenant, f.fault, count(*)::int as rows, (array_agg(f.example order by f.example))[1:5] as examples
from (
    select e.tenant_id as tenant, 'sent_without_delivery' as fault, e.id as example
    from events e
    where e.outcome = 'sent' and e.received_at >= now() - interval '8 days'
        and e.changed_at < now() - make_interval(secs => %(grace_s)s)
        and not exists (select from capi_events c where c.tenant_id = e.tenant_id and c.source_event = e.id
            and c.created_at >= now() - interval '9 days')
    union all
    select e.tenant_id, 'waiting_without_end', e.id
    from events e left join conversions c on c.id = e.conversion_id and c.tenant_id = e.tenant_id
    where e.outcome = 'waiting' and e.received_at >= now() - interval '8 days'
        and coalesce(c.hold_until, e.changed_at) < now() - make_interval(secs => %(grace_s)s)
    union all
    select e.tenant_id, 'dead_without_letter', e.id
    from events e
    where e.outcome = 'dead' and e.received_at >= now() - interval '8 days'
        and e.changed_at < now() - make_interval(secs => %(grace_s)s)
        and not exists (select from dead_letters l where l.tenant_id = e.tenant_id and l.event_row = e.id)
    union all
    select c.tenant_id, 'dead_without_letter', c.source_event
    from capi_events c
    where c.status = 'dead' and c.created_at >= now() - interval '8 days'
        and c.settled_at < now() - make_interval(secs => %(grace_s)s)
        and not exists (select from dead_letters l where l.tenant_id = c.tenant_id and l.capi_event_id = c.id
            and l.capi_created_at = c.created_at)
    union all
    select c.tenant_id, 'delivered_without_attempt', c.source_event
    from capi_events c
    where c.status = 'delivered' and c.created_at >= now() - interval '8 days'
        and c.settled_at < now() - make_interval(secs => %(grace_s)s)
        and not exists (select from dispatch_attempts a where a.capi_event_id = c.id and a.capi_created_at = c.created_at
            and a.outcome = 'delivered' and a.created_at >= now() - interval '9 days')
    union all
    select c.tenant_id, 'attempt_without_delivery', c.source_event
    from dispatch_attempts a
    join capi_events c on c.id = a.capi_event_id and c.created_at = a.capi_created_at
    where a.outcome = 'delivered' and a.created_at >= now() - interval '8 days'
        and a.finished_at < now() - make_interval(secs => %(grace_s)s)
        and c.created_at >= now() - interval '9 days' and c.status <> 'delivered' and c.generation = 0
    union all
    select c.tenant_id, 'sending_without_attempt', c.source_event
    from capi_events c
    where c.status = 'sending' and c.created_at >= now() - interval '8 days'
        and coalesce(c.lease_until, '-infinity') < now() - make_interval(secs => %(grace_s)s)
        and (c.lease_until is null or not exists (
            select from dispatch_attempts a where a.capi_event_id = c.id and a.capi_created_at = c.created_at
                and a.created_at >= now() - interval '9 days'))
    union all
    select a.tenant_id, 'attempt_left_open', c.source_event
    from dispatch_attempts a
    join capi_events c on c.id = a.capi_event_id and c.created_at = a.capi_created_at
    where a.outcome is null and a.created_at >= now() - interval '8 days'
        and a.created_at < now() - make_interval(secs => %(grace_s)s)
        and c.created_at >= now() - interval '9 days' and c.status <> 'sending'
    union all
    select c.tenant_id, 'unfinished_after_its_time', c.source_event
    from capi_events c
    where c.settled_at is null and c.status in ('pending', 'sending') and c.created_at >= now() - interval '90 days'
        and c.created_at < now() - interval '7 days 1 hour'
) f
group by f.tenant, f.fault
order by f.tenant, f.fault
