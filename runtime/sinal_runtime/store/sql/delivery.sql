-- Statements of delivery. Each of claim, reopen and settle runs after `lock` in the same transaction: a statement that locks
-- rows and updates them from its own locked set loses those that another session changed after its snapshot (its join is
-- rechecked against nothing), so the lock has to be a statement of its own. Rows are named by (id, created_at); `since` and `until` bound created_at, so that only the
-- partitions concerned are touched. `attempts` of the claim is the fencing token of everything after it.

-- name: lock
-- In the order of ids, so that two workers cannot wait for each other.
select from unnest(%(ids)s::bigint[], %(created)s::timestamptz[]) as w (id, created_at)
join capi_events e on e.id = w.id and e.created_at >= w.created_at and e.created_at < w.created_at + interval '1 millisecond'
where e.created_at >= %(since)s and e.created_at < %(until)s
order by e.id
for update of e;

-- name: claim
-- Takes what is due and writes the attempt in the same statement; what is not claimable is returned with its state.
-- An attempt that a lost worker left open is closed as in doubt.
with wanted as (
    select * from unnest(%(ids)s::bigint[], %(created)s::timestamptz[]) as w (id, moment)
), seen as (
    select e.id, e.created_at, e.status,
        case e.status
            when 'pending' then coalesce(e.next_attempt_at, '-infinity') <= now() + interval '1 second'
            when 'sending' then coalesce(e.lease_until, '-infinity') < now()
            else false
        end as due,
        coalesce(case e.status when 'pending' then e.next_attempt_at else e.lease_until end, now()) as due_at
    from wanted w
    join capi_events e on e.id = w.id and e.created_at >= w.moment and e.created_at < w.moment + interval '1 millisecond'
    where e.tenant_id = %(tenant)s and e.destination = %(destination)s
        and e.created_at >= %(since)s and e.created_at < %(until)s
), taken as (
    update capi_events e set
        status = 'sending', attempts = e.attempts + 1, next_attempt_at = null,
        lease_until = now() + make_interval(secs => %(lease_s)s)
    from seen s
    where s.due and e.id = s.id and e.created_at = s.created_at
        and e.created_at >= %(since)s and e.created_at < %(until)s
    returning e.id, e.created_at, s.status = 'sending' as abandoned, e.source_event, e.funnel, e.payload_json,
        e.consent_ads, e.received_at, e.attempts
), doubted as (
    update dispatch_attempts a set outcome = 'in_doubt', finished_at = now()
    from taken t
    where t.abandoned and a.capi_event_id = t.id and a.capi_created_at = t.created_at and a.outcome is null
    returning a.capi_event_id
), request as (
    insert into dispatch_requests (tenant_id, destination, events)
    select %(tenant)s, %(destination)s, count(*) from taken having count(*) > 0
    returning id, created_at
), opened as (
    insert into dispatch_attempts (tenant_id, capi_event_id, capi_created_at, attempt_no, request_id)
    select %(tenant)s, t.id, t.created_at, t.attempts, r.id from taken t cross join request r
)
select t.id, t.created_at, true as claimed, null::float8 as due_in_s,
    t.abandoned and exists (select from doubted d where d.capi_event_id = t.id) as doubted,
    t.source_event, t.funnel, t.payload_json, t.consent_ads, t.received_at, t.attempts,
    r.id as request_id, r.created_at as request_at
from taken t cross join request r
union all
select s.id, s.created_at, false,
    case when s.status in ('pending', 'sending') then greatest(0, extract(epoch from s.due_at - now()))::float8 end,
    false, null, null, null, null, null, null, null, null
from seen s
where not s.due
order by claimed desc, id;

-- name: reopen
-- A further request of claimed rows: leases of `all_ids` are prolonged, attempts of `ids` are written. No row comes back
-- unless every lease is still ours.
with held as (
    update capi_events e set lease_until = now() + make_interval(secs => %(lease_s)s)
    from unnest(%(all_ids)s::bigint[], %(all_created)s::timestamptz[], %(all_attempts)s::int[]) as u (id, created_at, attempts)
    where e.id = u.id and e.created_at = u.created_at and e.created_at >= %(since)s and e.created_at < %(until)s
        and e.status = 'sending' and e.attempts = u.attempts
    returning e.id
), request as (
    insert into dispatch_requests (tenant_id, destination, events)
    select %(tenant)s, %(destination)s, cardinality(%(ids)s::bigint[])
    where (select count(*) from held) = cardinality(%(all_ids)s::bigint[])
    returning id, created_at
), opened as (
    insert into dispatch_attempts (tenant_id, capi_event_id, capi_created_at, attempt_no, request_id)
    select %(tenant)s, u.id, u.created_at, u.attempts, r.id
    from unnest(%(ids)s::bigint[], %(created)s::timestamptz[], %(attempts)s::int[]) as u (id, created_at, attempts)
    cross join request r
)
select id as request_id, created_at as request_at from request;

-- name: settle
-- Closes the attempts of one request and moves its rows. A row without status stays claimed; one without outcome was not
-- part of the request, and its attempt is taken back. Who lost the lease moves nothing.
with result as (
    select * from unnest(
        %(ids)s::bigint[], %(created)s::timestamptz[], %(attempts)s::int[], %(outcomes)s::text[], %(statuses)s::text[],
        %(reasons)s::text[], %(details)s::text[], %(delays)s::float8[], %(counted)s::boolean[], %(doubts)s::int[]
    ) as r (id, created_at, attempts, outcome, status, reason, detail, delay_s, counted, doubts)
), moved as (
    update capi_events e set
        status = r.status, reason = r.reason, lease_until = null, in_doubt = e.in_doubt + r.doubts,
        attempts = e.attempts - case when r.counted then 0 else 1 end,
        next_attempt_at = case when r.status = 'pending' then now() + make_interval(secs => r.delay_s) end,
        settled_at = case when r.status <> 'pending' then now() end
    from result r
    where e.id = r.id and e.created_at = r.created_at and e.created_at >= %(since)s and e.created_at < %(until)s
        and r.status is not null and e.status = 'sending' and e.attempts = r.attempts
    returning e.id, e.created_at, e.status, e.reason, e.source_event, e.destination, e.attempts, e.payload_json, r.detail
), closed as (
    update dispatch_attempts a set
        outcome = r.outcome, finished_at = now(), http_status = %(http_status)s, code = %(code)s, subcode = %(subcode)s,
        provider_response = left(%(answer)s::text, 2000)
    from result r
    where a.capi_event_id = r.id and a.request_id = %(request_id)s and a.created_at = %(request_at)s
        and r.outcome is not null
), unsent as (
    delete from dispatch_attempts a using result r
    where a.capi_event_id = r.id and a.request_id = %(request_id)s and a.created_at = %(request_at)s
        and r.outcome is null and a.outcome is null
), answered as (
    update dispatch_requests q set
        events = %(sent)s, http_status = %(http_status)s, code = %(code)s, subcode = %(subcode)s,
        fbtrace_id = %(fbtrace_id)s, answer = left(%(answer)s::text, 2000), latency_ms = %(latency_ms)s,
        finished_at = now()
    where q.id = %(request_id)s and q.created_at = %(request_at)s and %(sent)s > 0
), letters as (
    insert into dead_letters (
        tenant_id, stage, event_row, capi_event_id, capi_created_at, destination, reason, detail, attempts, body)
    select %(tenant)s, 'dispatch', m.source_event, m.id, m.created_at, m.destination, m.reason, m.detail, m.attempts,
        m.payload_json
    from moved m where m.status = 'dead'
    on conflict do nothing
)
select id from moved;

-- name: forget_request
-- Every event of the claim was stopped before anything was sent.
delete from dispatch_requests where id = %(request_id)s and created_at = %(request_at)s;

-- name: refusals
-- How often Meta refused each of these events alone.
select a.capi_event_id as id, count(*)::int as refusals
from dispatch_attempts a
join unnest(%(ids)s::bigint[], %(created)s::timestamptz[]) as u (id, created_at)
    on a.capi_event_id = u.id and a.capi_created_at = u.created_at
where a.outcome = 'refused'
group by a.capi_event_id;

-- name: bury
insert into dead_letters (tenant_id, stage, destination, reason, detail, attempts, body)
values (%(tenant)s, 'dispatch', %(destination)s, %(reason)s, %(detail)s, %(attempts)s, %(body)s);

-- name: expire
-- Rows whose message is gone or whose destination stayed away: after seven days Meta would not take them.
with old as (
    select id, created_at from capi_events
    where created_at < now() - interval '7 days' and created_at >= now() - interval '90 days'
        and (status = 'pending' or (status = 'sending' and coalesce(lease_until, '-infinity') < now()))
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
