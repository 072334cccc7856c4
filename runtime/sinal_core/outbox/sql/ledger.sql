-- Statements of an outbox's ledger; `outbox.postgres` gives the tables the product's name. `fence` of a claim is asked
-- of each row that is changed: a row that another session changed in between is looked at again as it has become.

-- name: add
insert into outbox_entries (tenant_id, destination, key, payload, expires_at)
select tenant, destination, key, payload, expires_at
from unnest(%(tenants)s::text[], %(destinations)s::text[], %(keys)s::text[], %(payloads)s::text[],
    %(expiries)s::timestamptz[]) as w (tenant, destination, key, payload, expires_at)
on conflict (tenant_id, destination, key) do nothing
returning id, created_at, tenant_id as tenant, destination, generation, publications;

-- name: unpublished
-- Entries that no message stands for: published by nobody a while after they were made, or due for so long that their
-- message must be lost. It may only wait, with a destination that is stopped: each further message comes twice as late.
select id, created_at, tenant_id as tenant, destination, generation, publications
from outbox_entries
where settled_at is null and case
    when published_at is null then created_at < now() - make_interval(secs => %(quiet_s)s)
    else greatest(published_at, coalesce(case status when 'pending' then next_attempt_at else lease_until end, published_at))
        < now() - make_interval(secs => %(lost_s)s * 2 ^ least(publications - 1, 10))
    end
order by id limit %(most)s;

-- name: mark_published
update outbox_entries e set published_at = now(), publications = e.publications + 1
from unnest(%(ids)s::bigint[], %(generations)s::int[]) as w (id, generation)
where e.id = w.id and e.generation = w.generation;

-- name: claim
-- Takes what is due and writes the attempts in the same statement. An attempt that a lost worker left open is closed as
-- in doubt.
with taken as (
    update outbox_entries e set
        status = 'sending', fence = e.fence + 1, attempts = e.attempts + 1, next_attempt_at = null,
        lease_until = now() + make_interval(secs => %(lease_s)s)
    where e.id = any(%(ids)s::bigint[]) and e.tenant_id = %(tenant)s and e.destination = %(destination)s
        and case e.status
            -- A second early: the message waits by the worker's clock and the row by PostgreSQL's;
            -- one that came a moment too soon would be sent back for nothing.
            when 'pending' then coalesce(e.next_attempt_at, '-infinity') <= now() + interval '1 second'
            when 'sending' then coalesce(e.lease_until, '-infinity') < now()
            else false end
    returning e.id, e.created_at, e.key, e.payload, e.expires_at, e.fence, e.attempts, e.in_doubt, e.generation
), doubted as (
    update outbox_attempts a set outcome = 'in_doubt', finished_at = now()
    where a.entry_id = any(array(select id from taken)) and a.outcome is null
    returning a.entry_id
), request as (
    insert into outbox_requests (tenant_id, destination, entries)
    select %(tenant)s, %(destination)s, count(*) from taken having count(*) > 0
    returning id, created_at
), opened as (
    insert into outbox_attempts (tenant_id, entry_id, generation, fence, request_id)
    select %(tenant)s, t.id, t.generation, t.fence, r.id from taken t cross join request r
)
select t.*, t.id = any(array(select entry_id from doubted)) as doubted, r.id as request_id, r.created_at as request_at
from taken t cross join request r
order by t.id;

-- name: unclaimed
-- Of entries that could not be claimed, those that may be later: not due yet, or held by another worker.
select id,
    greatest(0, extract(epoch from
        coalesce(case status when 'pending' then next_attempt_at else lease_until end, now()) - now()))::float8 as due_in_s
from outbox_entries
where id = any(%(ids)s::bigint[]) and tenant_id = %(tenant)s and destination = %(destination)s
    and status in ('pending', 'sending');

-- name: reopen
-- A further request of claimed entries. No row comes back unless every claim is still ours.
with held as (
    update outbox_entries e set lease_until = now() + make_interval(secs => %(lease_s)s)
    from unnest(%(all_ids)s::bigint[], %(all_fences)s::int[]) as u (id, fence)
    where e.id = u.id and e.status = 'sending' and e.fence = u.fence
    returning e.id, e.generation, e.fence
), request as (
    insert into outbox_requests (tenant_id, destination, entries)
    select %(tenant)s, %(destination)s, cardinality(%(ids)s::bigint[])
    where (select count(*) from held) = cardinality(%(all_ids)s::bigint[])
    returning id, created_at
), opened as (
    insert into outbox_attempts (tenant_id, entry_id, generation, fence, request_id)
    select %(tenant)s, h.id, h.generation, h.fence, r.id
    from held h cross join request r where h.id = any(%(ids)s::bigint[])
)
select id as request_id, created_at as request_at from request;

-- name: settle
-- Closes the attempts of a request and moves its entries. An entry without status stays claimed; one without outcome was
-- not part of the request, and its attempt is taken back. Who lost the claim moves nothing, and a doubt that was told
-- stays one.
with result as (
    select * from unnest(%(ids)s::bigint[], %(fences)s::int[], %(outcomes)s::text[], %(statuses)s::text[],
        %(reasons)s::text[], %(details)s::text[], %(delays)s::float8[], %(counted)s::boolean[], %(doubts)s::int[])
        as r (id, fence, outcome, status, reason, detail, delay_s, counted, doubts)
), moved as (
    update outbox_entries e set
        status = r.status, reason = r.reason, lease_until = null, in_doubt = e.in_doubt + r.doubts,
        attempts = e.attempts - case when r.counted then 0 else 1 end,
        next_attempt_at = case when r.status = 'pending' then now() + make_interval(secs => r.delay_s) end,
        settled_at = case when r.status <> 'pending' then now() end
    from result r
    where e.id = r.id and r.status is not null and e.status = 'sending' and e.fence = r.fence
    returning e.id, e.tenant_id, e.destination, e.status, e.reason, e.attempts, e.payload, r.detail
), closed as (
    update outbox_attempts a set outcome = r.outcome, finished_at = now()
    from result r
    where a.entry_id = r.id and a.fence = r.fence and a.request_id = %(request)s::bigint and a.outcome is null
        and r.outcome is not null
), unsent as (
    delete from outbox_attempts a using result r
    where a.entry_id = r.id and a.fence = r.fence and a.request_id = %(request)s::bigint and a.outcome is null
        and r.outcome is null
), answered as (
    update outbox_requests q set
        entries = %(sent)s::int, verdict = %(verdict)s, http_status = %(http_status)s, code = %(code)s,
        subcode = %(subcode)s, trace_id = %(trace_id)s, answer = %(answer)s, latency_ms = %(latency_ms)s,
        finished_at = now()
    -- Entries that are stopped before the request leaves are settled with none sent: the request
    -- stays open for the others.
    where q.id = %(request)s::bigint and %(sent)s::int > 0
), letters as (
    insert into outbox_letters (tenant_id, destination, entry_id, reason, detail, attempts, body)
    select tenant_id, destination, id, reason, detail, attempts, payload from moved where status = 'dead'
    on conflict do nothing
)
select id from moved;

-- name: forget
-- Every entry of the claim was stopped before anything was sent.
delete from outbox_requests where id = %(request)s;

-- name: refusals
-- How often each entry was refused alone since it was last replayed.
select a.entry_id as id, count(*)::int as refusals
from outbox_attempts a join outbox_entries e on e.id = a.entry_id and e.generation = a.generation
where a.entry_id = any(%(ids)s::bigint[]) and a.outcome = 'refused'
group by a.entry_id;

-- name: bury
insert into outbox_letters (tenant_id, destination, reason, detail, attempts, body)
values (%(tenant)s, %(destination)s, %(reason)s, %(detail)s, %(attempts)s, %(body)s);

-- name: make_due
-- What waits for its time waits no longer. Who works on an entry now decides its time anew, and is left alone.
with waiting as (
    select e.id
    from outbox_entries e join unnest(%(tenants)s::text[], %(destinations)s::text[]) as w (tenant, destination)
        on w.tenant = e.tenant_id and w.destination = e.destination
    where e.settled_at is null and e.status = 'pending' and e.next_attempt_at > now()
    for update of e skip locked
)
update outbox_entries e set next_attempt_at = null from waiting w where e.id = w.id returning e.id;

-- name: expire
-- Entries that nobody wants to have sent any more. One whose worker was lost may have arrived: its attempt says so.
with old as (
    select id from outbox_entries
    where settled_at is null and expires_at < now()
        and (status = 'pending' or (status = 'sending' and coalesce(lease_until, '-infinity') < now()))
    order by id limit %(most)s
    for update skip locked
), moved as (
    update outbox_entries e set
        status = 'dead', reason = %(reason)s, lease_until = null, next_attempt_at = null, settled_at = now()
    from old o where e.id = o.id
    returning e.id, e.tenant_id, e.destination, e.attempts, e.payload
), doubted as (
    update outbox_attempts a set outcome = 'in_doubt', finished_at = now()
    where a.entry_id = any(array(select id from moved)) and a.outcome is null
), letters as (
    insert into outbox_letters (tenant_id, destination, entry_id, reason, detail, attempts, body)
    select tenant_id, destination, id, %(reason)s, %(detail)s, attempts, payload from moved
    on conflict do nothing
)
select tenant_id as tenant, count(*)::int as entries from moved group by tenant_id;

-- name: letters
-- Dead letters that nobody has replayed, oldest first, with what their entry is now.
select l.id, l.created_at, l.destination, l.reason, l.detail, l.attempts, l.body, l.entry_id as entry, e.status,
    e.generation
from outbox_letters l left join outbox_entries e on e.id = l.entry_id
where l.tenant_id = %(tenant)s and l.replayed_at is null and l.id > %(after)s
    and (%(destination)s::text is null or l.destination = %(destination)s)
    and (%(reason)s::text is null or l.reason = %(reason)s)
order by l.id limit %(limit)s;

-- name: settled
-- Entries that have come to an end, oldest first.
select id, status, generation, key, destination, reason, settled_at
from outbox_entries
where tenant_id = %(tenant)s and status = any(%(statuses)s::text[]) and id > %(after)s
    and (%(destination)s::text is null or destination = %(destination)s)
order by id limit %(limit)s;

-- name: send_again
-- An entry moves only from the state it was shown in, so that nobody's claim is taken away.
with moved as (
    update outbox_entries e set
        status = 'pending', reason = null, generation = e.generation + 1, attempts = 0, publications = 0,
        published_at = null, lease_until = null, next_attempt_at = null, settled_at = null,
        -- A person wants it sent now: an end that is over would give it up again at the next sweep.
        expires_at = case when e.expires_at > now() then e.expires_at end
    from unnest(%(ids)s::bigint[], %(statuses)s::text[], %(generations)s::int[]) as r (id, status, generation)
    where e.id = r.id and e.tenant_id = %(tenant)s and e.status = r.status and e.generation = r.generation
        and e.settled_at is not null
    returning e.id, e.created_at, e.tenant_id as tenant, e.destination, e.generation, e.publications
), played as (
    update outbox_letters l set replayed_at = now() from moved m where l.entry_id = m.id and l.replayed_at is null
)
select * from moved order by id;

-- name: purge
-- What came to its end before that time goes, and so do letters of that time that nobody asked for.
with gone as (
    -- attempts go with their entry (on delete cascade)
    delete from outbox_entries where settled_at < %(before)s returning id
), requests as (
    delete from outbox_requests where created_at < %(before)s
), letters as (
    delete from outbox_letters where created_at < %(before)s
)
select count(*)::int as entries from gone;
