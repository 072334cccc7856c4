-- Statements of delivery. Rows are named by their id, which is one over all partitions; `since` and `until` bound
-- created_at, so that only the partitions concerned are touched. `fence` of the row, which only goes up, is the fencing
-- token of everything after a claim; `attempts` stands beside it because a release before knows that alone. Each
-- statement changes rows by conditions asked of the rows themselves: one that another session changed in between is
-- looked at again as it has become, which a join with an earlier look at it would not do. Ids are sorted, so that two
-- workers lock in one order. Tables are read by `= any(array)` on an index and joined with the batch by hashing
-- (`delivery.SESSION`): what the planner believes of young tables can make nothing quadratic.

-- name: claim
-- Takes what is due and writes the attempts in the same statement, for many destinations at once: `places` says of each
-- row which of them asks for it, and each gets a request of its own. An attempt that a lost worker left open is closed
-- as in doubt; a row's first claim finds none.
with taken as (
    update capi_events e set
        status = 'sending', attempts = e.attempts + 1, fence = e.fence + 1, next_attempt_at = null,
        lease_until = now() + make_interval(secs => (%(leases)s::float8[])[w.place])
    from unnest(%(ids)s::bigint[], %(places)s::int[]) as w (id, place)
    where e.id = any(%(ids)s::bigint[]) and e.id = w.id and e.created_at >= %(since)s and e.created_at < %(until)s
        and e.tenant_id = (%(tenants)s::text[])[w.place] and e.destination = (%(destinations)s::text[])[w.place]
        and case e.status
            when 'pending' then coalesce(e.next_attempt_at, '-infinity') <= now() + interval '1 second'
            when 'sending' then coalesce(e.lease_until, '-infinity') < now()
            else false end
    returning e.id, e.created_at, e.tenant_id, e.destination, e.source_event, e.funnel, e.payload_json, e.consent_ads,
        e.received_at, e.attempts, e.fence, w.place
), doubted as (
    update dispatch_attempts a set outcome = 'in_doubt', finished_at = now()
    where a.capi_event_id = any(array(select id from taken where attempts > 1)) and a.outcome is null
    returning a.capi_event_id
), request as (
    insert into dispatch_requests (tenant_id, destination, events)
    select tenant_id, destination, count(*) from taken group by place, tenant_id, destination
    returning id, created_at, tenant_id, destination
), placed as (
    select t.*, r.id as request_id, r.created_at as request_at
    from taken t join request r on r.tenant_id = t.tenant_id and r.destination = t.destination
), opened as (
    insert into dispatch_attempts (tenant_id, capi_event_id, capi_created_at, attempt_no, request_id)
    select tenant_id, id, created_at, attempts, request_id from placed
)
select id, created_at, id = any(array(select capi_event_id from doubted)) as doubted,
    source_event, funnel, payload_json, consent_ads, received_at, attempts, fence, place, request_id,
    request_at
from placed
order by id;

-- name: unclaimed
-- Of rows that could not be claimed, those that may be later: not due yet, or held by another worker.
select e.id,
    greatest(0, extract(epoch from
        coalesce(case e.status when 'pending' then e.next_attempt_at else e.lease_until end, now()) - now()))::float8
        as due_in_s
from capi_events e join unnest(%(ids)s::bigint[], %(places)s::int[]) as w (id, place) on w.id = e.id
where e.id = any(%(ids)s::bigint[]) and e.created_at >= %(since)s and e.created_at < %(until)s
    and e.tenant_id = (%(tenants)s::text[])[w.place] and e.destination = (%(destinations)s::text[])[w.place]
    and e.status in ('pending', 'sending');

-- name: reopen
-- A further request of claimed rows: leases of `all_ids` are prolonged, attempts of `ids` are written. No row comes back
-- unless every lease is still ours.
with held as (
    update capi_events e set lease_until = now() + make_interval(secs => %(lease_s)s)
    from unnest(%(all_ids)s::bigint[], %(all_attempts)s::int[], %(all_fences)s::int[]) as u (id, attempts, fence)
    where e.id = any(%(all_ids)s::bigint[]) and e.id = u.id and e.created_at >= %(since)s and e.created_at < %(until)s
        and e.status = 'sending' and e.attempts = u.attempts and e.fence = u.fence
    returning e.id, e.created_at
), request as (
    insert into dispatch_requests (tenant_id, destination, events)
    select %(tenant)s, %(destination)s, cardinality(%(ids)s::bigint[])
    where (select count(*) from held) = cardinality(%(all_ids)s::bigint[])
    returning id, created_at
), opened as (
    insert into dispatch_attempts (tenant_id, capi_event_id, capi_created_at, attempt_no, request_id)
    select %(tenant)s, u.id, h.created_at, u.attempts, r.id
    from unnest(%(ids)s::bigint[], %(attempts)s::int[]) as u (id, attempts)
    join held h on h.id = u.id
    cross join request r
)
select id as request_id, created_at as request_at from request;

-- name: settle
-- Closes the attempts of requests and moves their rows. A row without status stays claimed; one without outcome was not
-- part of its request, and its attempt is taken back. Who lost the lease moves nothing. Most rows share their fate:
-- `fates` holds for every row the place of its own among the distinct ones, `places` that of its request.
with result as (
    select w.id, w.attempts, w.fence, w.place, (%(requests)s::bigint[])[w.place] as request_id,
        (%(outcomes)s::text[])[w.fate] as outcome, (%(statuses)s::text[])[w.fate] as status,
        (%(reasons)s::text[])[w.fate] as reason, (%(details)s::text[])[w.fate] as detail,
        (%(delays)s::float8[])[w.fate] as delay_s, (%(counted)s::boolean[])[w.fate] as counted,
        (%(doubts)s::int[])[w.fate] as doubts
    from unnest(%(ids)s::bigint[], %(attempts)s::int[], %(fences)s::int[], %(fates)s::int[], %(places)s::int[])
        as w (id, attempts, fence, fate, place)
), answer as (
    select * from unnest(%(requests)s::bigint[], %(sent)s::int[], %(verdicts)s::text[], %(http_statuses)s::int[],
        %(codes)s::int[], %(subcodes)s::int[], %(traces)s::text[], %(answers)s::text[], %(latencies)s::int[])
        as a (request_id, sent, verdict, http_status, code, subcode, fbtrace_id, answer, latency_ms)
), moved as (
    update capi_events e set
        status = r.status, reason = r.reason, lease_until = null, in_doubt = e.in_doubt + r.doubts,
        attempts = e.attempts - case when r.counted then 0 else 1 end,
        next_attempt_at = case when r.status = 'pending' then now() + make_interval(secs => r.delay_s) end,
        settled_at = case when r.status <> 'pending' then now() end
    from result r
    where e.id = any(%(ids)s::bigint[]) and e.id = r.id and e.created_at >= %(since)s and e.created_at < %(until)s
        and r.status is not null and e.status = 'sending' and e.attempts = r.attempts and e.fence = r.fence
    returning e.id, e.created_at, e.status, e.reason, e.source_event, e.destination, e.attempts,
        case when e.status = 'dead' then e.payload_json end as payload_json, r.detail, r.place
), closed as (
    update dispatch_attempts a set
        outcome = r.outcome, finished_at = now(), http_status = (%(http_statuses)s::int[])[r.place],
        code = (%(codes)s::int[])[r.place], subcode = (%(subcodes)s::int[])[r.place],
        provider_response = (%(answers)s::text[])[r.place]
    from result r
    where a.capi_event_id = any(%(ids)s::bigint[]) and a.capi_event_id = r.id and a.request_id = r.request_id
        and a.created_at >= %(asked_since)s and a.created_at <= %(asked_until)s and r.outcome is not null
), unsent as (
    delete from dispatch_attempts a using result r
    where a.capi_event_id = any(array(select id from result where outcome is null)) and a.capi_event_id = r.id
        and r.outcome is null and a.outcome is null and a.request_id = r.request_id
        and a.created_at >= %(asked_since)s and a.created_at <= %(asked_until)s
), answered as (
    update dispatch_requests q set
        events = a.sent, http_status = a.http_status, code = a.code, subcode = a.subcode, verdict = a.verdict,
        fbtrace_id = a.fbtrace_id, answer = a.answer, latency_ms = a.latency_ms, finished_at = now()
    from answer a
    where q.id = any(%(requests)s::bigint[]) and q.id = a.request_id and a.sent > 0
        and q.created_at >= %(asked_since)s and q.created_at <= %(asked_until)s
), letters as (
    insert into dead_letters (
        tenant_id, stage, event_row, capi_event_id, capi_created_at, destination, reason, detail, attempts, body)
    select (%(tenants)s::text[])[m.place], 'dispatch', m.source_event, m.id, m.created_at, m.destination, m.reason,
        m.detail, m.attempts, m.payload_json
    from moved m where m.status = 'dead'
    on conflict do nothing
)
select id from moved;

-- name: make_due
-- What waits for its time waits no longer. Who works on a row now decides its time anew, and is left alone.
with waiting as (
    select c.id, c.created_at
    from capi_events c join unnest(%(tenants)s::text[], %(destinations)s::text[]) as w (tenant, destination)
        on w.tenant = c.tenant_id and w.destination = c.destination
    where c.tenant_id = any(%(tenants)s::text[]) and c.status = 'pending' and c.next_attempt_at > now()
        and c.created_at >= now() - interval '8 days'
    for update of c skip locked
)
update capi_events c set next_attempt_at = null
from waiting w
where c.id = any(array(select id from waiting)) and c.id = w.id and c.created_at = w.created_at
    and c.created_at >= now() - interval '8 days' and c.status = 'pending'
returning c.id;

-- name: forget_request
-- Every event of the claim was stopped before anything was sent.
delete from dispatch_requests where id = %(request_id)s and created_at = %(request_at)s;

-- name: refusals
-- How often Meta refused each of these events alone.
select a.capi_event_id as id, count(*)::int as refusals
from dispatch_attempts a
where a.capi_event_id = any(%(ids)s::bigint[]) and a.outcome = 'refused'
group by a.capi_event_id;

-- name: bury
insert into dead_letters (tenant_id, stage, destination, reason, detail, attempts, body)
values (%(tenant)s, 'dispatch', %(destination)s, %(reason)s, %(detail)s, %(attempts)s, %(body)s);

-- name: expire
-- Rows whose message is gone or whose destination stayed away: after seven days Meta would not take them.
with old as (
    select id, created_at from capi_events
    where created_at < now() - interval '7 days' and created_at >= now() - interval '90 days'
        and settled_at is null and (status = 'pending' or (status = 'sending' and coalesce(lease_until, '-infinity') < now()))
    order by created_at, id
    limit %(most)s
    for update skip locked
), moved as (
    update capi_events e set status = 'dead', reason = 'too_old', lease_until = null, next_attempt_at = null,
        settled_at = now()
    from old o where e.id = o.id and e.created_at = o.created_at
    returning e.*
), letters as (
    insert into dead_letters (
        tenant_id, stage, event_row, capi_event_id, capi_created_at, destination, reason, detail, attempts, body)
    select tenant_id, 'dispatch', source_event, id, created_at, destination, 'too_old',
        'waited longer than Meta takes events', attempts, payload_json
    from moved
    on conflict do nothing
)
select tenant_id, count(*)::int as events from moved group by tenant_id;
