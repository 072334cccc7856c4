-- What people ask of their data: erasures on their way, marks for matching, consent withdrawn.

-- name: add_erasure
insert into erasures (id, tenant_id, requested_by, role, subject, keys)
values (%(id)s, %(tenant)s, %(actor)s, %(role)s, %(subject)s::jsonb, %(keys)s)
returning requested_at

-- name: add_marks
-- Of two marks on the same person the later one counts.
insert into privacy_marks as m (tenant_id, key, kind, at, expires_at)
select %(tenant)s, k.key, %(kind)s, %(at)s, %(expires_at)s from unnest(%(keys)s::text[]) as k (key) order by k.key
on conflict (tenant_id, key, kind) do update set
    at = greatest(m.at, excluded.at), expires_at = greatest(m.expires_at, excluded.expires_at)

-- name: drop_marks
delete from privacy_marks where tenant_id = %(tenant)s and kind = %(kind)s and key = any(%(keys)s)

-- name: erasure
select id, tenant_id as tenant, requested_at, state, counts::text as counts, tries, problem, finished_at
from erasures where id = %(id)s and (%(tenant)s::text is null or tenant_id = %(tenant)s)

-- name: waiting
select id, tenant_id as tenant, requested_at, requested_by as actor, role, subject::text as subject, keys
from erasures where state = 'waiting'
order by row_number() over (partition by tenant_id order by requested_at), requested_at limit %(limit)s

-- name: count_waiting
select count(*)::int as waiting from erasures where state = 'waiting'

-- name: failed
update erasures set tries = tries + 1, problem = %(problem)s where id = %(id)s and state = 'waiting'

-- name: done
update erasures set state = 'done', subject = null, problem = null, tries = tries + 1, counts = %(counts)s::jsonb,
    finished_at = now()
where id = %(id)s and state = 'waiting'

-- name: people
-- Orders, browsers and facts of somebody, by what is indexed: consent is about what is still to be sent, not the past.
with orders as (
    select id from conversions where tenant_id = %(tenant)s and email_hash = any(%(emails)s)
    union
    select id from conversions where tenant_id = %(tenant)s and phone_hash = any(%(phones)s)
    union
    select conversion_id from matches where tenant_id = %(tenant)s and click_id = any(%(clicks)s) and decision = 'match'
), browsers as (
    select unnest(%(clicks)s::text[]) as click_id
    union
    select click_id from identities where tenant_id = %(tenant)s and email_hash = any(%(emails)s)
    union
    select click_id from identities where tenant_id = %(tenant)s and phone_hash = any(%(phones)s)
    union
    select click_id from clicks
    where (tenant_id || '|' || external_id) = any(%(external_keys)s) and external_id is not null
)
select array(select id from orders) as orders, array(select click_id from browsers) as clicks

-- name: word_of_clicks
update clicks set consent_ads = %(consent)s
where (tenant_id || '|' || lower(click_id)) collate "C" = any(%(click_keys)s) and click_id = any(%(clicks)s)
    and consent_ads is distinct from %(consent)s

-- name: withdraw_events
-- What waits for a click, a person or another judgement is judged with this word from now on.
update events e set
    consent_ads = false, body = e.body || '{"consent_ads": false}'::jsonb,
    outcome = 'withheld', reason = case e.outcome when 'waiting' then 'no_consent' else e.reason end
where e.tenant_id = %(tenant)s and e.received_at >= now() - interval '15 days' and e.body <> '{}'
    and (e.outcome = 'waiting' or (e.outcome = 'withheld' and e.reason in ('review', 'unmatched', 'no_consent')))
    and (e.conversion_id = any(%(orders)s) or e.email_hash = any(%(emails)s) or e.click_id = any(%(clicks)s))

-- name: withdraw_deliveries
-- What is being sent learns it for its next try.
update capi_events c set
    consent_ads = false,
    status = case c.status when 'pending' then 'withheld' else c.status end,
    reason = case c.status when 'pending' then 'no_consent' else c.reason end,
    settled_at = case c.status when 'pending' then now() else c.settled_at end
where c.tenant_id = %(tenant)s and c.settled_at is null and c.status in ('pending', 'sending')
    and (c.conversion_id = any(%(orders)s) or c.payload_json like any(%(patterns)s)
        or exists (select from events e where e.id = c.source_event and e.received_at = c.received_at
            and e.tenant_id = c.tenant_id and (e.click_id = any(%(clicks)s) or e.id = any(%(clicks)s))))

-- name: gateways_of
select c.gateway from conversions c where c.tenant_id = %(tenant)s and c.order_key = %(order)s order by c.gateway limit 20
