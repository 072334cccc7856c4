-- Everything that is kept of a person, found and taken away. `patterns` are the digests as LIKE patterns: hashes lie
-- inside of JSON too, and an erasure that trusts an index to know them all is none.

-- name: orders
select c.id, c.gateway, c.order_id
from conversions c
where c.tenant_id = %(tenant)s and c.order_key not like 'gone:%%'
    and (c.email_hash = any(%(emails)s) or c.phone_hash = any(%(phones)s) or c.order_id = any(%(orders)s)
        or c.parent_order_id = any(%(orders)s) or c.signals::text like any(%(patterns)s))
order by c.id

-- name: clicks
-- Browsers in which these hashes were seen, or that bought these orders, with what shares their session or customer id.
with named as (
    select click_id from identities
    where tenant_id = %(tenant)s and (email_hash = any(%(emails)s) or phone_hash = any(%(phones)s))
    union
    select click_id from matches
    where tenant_id = %(tenant)s and conversion_id = any(%(conversions)s) and decision = 'match' and click_id is not null
    union
    select click_id from clicks where tenant_id = %(tenant)s and user_data::text like any(%(patterns)s)
), own as (
    select session_id, external_id from clicks
    where tenant_id = %(tenant)s and click_id in (select click_id from named)
)
select c.id, c.ts, c.click_id, c.session_id, c.external_id
from clicks c
where c.tenant_id = %(tenant)s
    and (c.click_id in (select click_id from named)
        or c.session_id in (select session_id from own where session_id is not null)
        or c.external_id in (select external_id from own where external_id is not null))
union all
select null, null, n.click_id, null, null
from named n where not exists (select from clicks c where c.tenant_id = %(tenant)s and c.click_id = n.click_id)

-- name: events
-- What a browser did counts as its person's unless it names somebody else: some devices serve many people.
select e.id, e.received_at
from events e
where e.tenant_id = %(tenant)s and e.body <> '{}'
    and (e.email_hash = any(%(emails)s) or e.order_id = any(%(orders)s) or e.conversion_id = any(%(conversions)s)
        or e.body::text like any(%(patterns)s)
        or (e.kind <> 'sale' and not coalesce(e.body -> 'user' ?| '{em,ph}', false)
            and (e.click_id = any(%(clicks)s) or e.id = any(%(clicks)s) or e.body ->> 'session_id' = any(%(sessions)s))))

-- name: deliveries
select c.id, c.created_at, c.event_name || ':' || c.event_id as claim
from capi_events c
where c.tenant_id = %(tenant)s and c.payload_json <> '{}'
    and (c.source_event = any(%(events)s) or c.conversion_id = any(%(conversions)s)
        or c.payload_json like any(%(patterns)s))

-- name: letters
select l.id
from dead_letters l
where l.tenant_id = %(tenant)s and l.body is not null
    and (l.event_row = any(%(events)s) or l.capi_event_id = any(%(delivery_ids)s) or l.body like any(%(patterns)s)
        or l.body like any(%(order_patterns)s))

-- name: shut_out
-- No batch of matching runs beside it from here to the end of the transaction.
select pg_advisory_xact_lock(1397314628, hashtext(%(tenant)s))

-- name: erase_deliveries
-- What is being sent right now can't be called back; it will not be sent again.
update capi_events c set
    payload_json = '{}', event_id = 'erased-' || c.id, consent_ads = false,
    status = case c.status when 'pending' then 'withheld' else c.status end,
    reason = case c.status when 'pending' then 'erased' else c.reason end,
    settled_at = case c.status when 'pending' then now() else c.settled_at end
from json_to_recordset(%(rows)s::json) as r (id bigint, created_at timestamptz)
where c.id = r.id and c.created_at = r.created_at and c.tenant_id = %(tenant)s

-- name: erase_requests
-- An answer is about the whole request: whoever was in it, the text may name this person.
with asked as (
    select distinct a.request_id, a.created_at
    from json_to_recordset(%(rows)s::json) as r (id bigint, created_at timestamptz)
    join dispatch_attempts a on a.capi_event_id = r.id and a.capi_created_at = r.created_at
    where a.tenant_id = %(tenant)s
), answers as (
    update dispatch_requests q set answer = null from asked s
    where q.id = s.request_id and q.created_at = s.created_at and q.answer is not null
)
update dispatch_attempts a set provider_response = null from asked s
where a.request_id = s.request_id and a.created_at = s.created_at and a.provider_response is not null

-- name: erase_letters
update dead_letters set body = null, detail = null where id = any(%(letters)s) and tenant_id = %(tenant)s

-- name: erase_events
update events e set
    body = '{}', event_id = null, order_id = null, click_id = null, email_hash = null, conversion_id = null,
    outcome = case e.outcome when 'waiting' then 'withheld' else e.outcome end,
    reason = case when e.outcome in ('waiting', 'withheld') then 'erased' else e.reason end
from json_to_recordset(%(rows)s::json) as r (id text, received_at timestamptz)
where e.id = r.id and e.received_at = r.received_at and e.tenant_id = %(tenant)s

-- name: erase_matches
delete from matches where tenant_id = %(tenant)s and conversion_id = any(%(conversions)s)

-- name: erase_matched_clicks
-- Other people's matches that name such a click keep their score and lose the name.
update matches set
    click_id = case when click_id = any(%(clicks)s) then null else click_id end,
    explanation = explanation || '{"runner_up": null}'::jsonb
        || case when click_id = any(%(clicks)s) then '{"click_id": null}'::jsonb else '{}'::jsonb end
where tenant_id = %(tenant)s
    and (click_id = any(%(clicks)s) or explanation #>> '{runner_up,click_id}' = any(%(clicks)s))

-- name: erase_open_orders
delete from open_orders where tenant_id = %(tenant)s and conversion_id = any(%(conversions)s)

-- name: erase_order_names
delete from order_names n
where n.tenant_id = %(tenant)s
    and (n.order_key in (select c.order_key from conversions c
            where c.tenant_id = %(tenant)s and c.id = any(%(conversions)s))
        or n.name in (select e.body #>> '{sale,subscription_id}' from events e
            where e.tenant_id = %(tenant)s and e.id = any(%(events)s)))

-- name: erase_clicks
delete from clicks c using json_to_recordset(%(rows)s::json) as r (id bigint, ts timestamptz)
where c.id = r.id and c.ts = r.ts and c.tenant_id = %(tenant)s

-- name: erase_sessions
delete from sessions
where tenant_id = %(tenant)s
    and (session_id = any(%(sessions)s) or first_click_id = any(%(clicks)s) or last_click_id = any(%(clicks)s))

-- name: erase_identities
delete from identities
where tenant_id = %(tenant)s
    and (email_hash = any(%(emails)s) or phone_hash = any(%(phones)s) or click_id = any(%(clicks)s))

-- name: hash_claims
insert into claims (tenant_id, claim_key, source, owner)
select tenant_id, sinal_hashed_claim(tenant_id, claim_key), source, owner from claims
where tenant_id = %(tenant)s and claim_key = any(%(claims)s) and expires_at is null
on conflict (tenant_id, claim_key) do nothing

-- name: drop_claims
delete from claims where tenant_id = %(tenant)s and claim_key = any(%(claims)s)

-- name: erase_orders
update conversions set order_key = 'gone:' || id, order_id = null, parent_order_id = null, email_hash = null,
    phone_hash = null, signals = '{}', hold_until = null, recheck_at = null, updated_at = now()
where tenant_id = %(tenant)s and id = any(%(conversions)s)

-- name: show_events
select to_jsonb(e) - 'tenant_id' as row from json_to_recordset(%(rows)s::json) as r (id text, received_at timestamptz)
join events e on e.id = r.id and e.received_at = r.received_at where e.tenant_id = %(tenant)s

-- name: show_clicks
select to_jsonb(c) - 'tenant_id' as row from json_to_recordset(%(rows)s::json) as r (id bigint, ts timestamptz)
join clicks c on c.id = r.id and c.ts = r.ts where c.tenant_id = %(tenant)s

-- name: show_sessions
select to_jsonb(s) - 'tenant_id' as row from sessions s
where s.tenant_id = %(tenant)s
    and (s.session_id = any(%(sessions)s) or s.first_click_id = any(%(clicks)s) or s.last_click_id = any(%(clicks)s))

-- name: show_identities
select to_jsonb(i) - 'tenant_id' as row from identities i
where i.tenant_id = %(tenant)s
    and (i.email_hash = any(%(emails)s) or i.phone_hash = any(%(phones)s) or i.click_id = any(%(clicks)s))

-- name: show_orders
select to_jsonb(c) - 'tenant_id' as row from conversions c
where c.tenant_id = %(tenant)s and c.id = any(%(conversions)s)

-- name: show_matches
select to_jsonb(m) - 'tenant_id' as row from matches m
where m.tenant_id = %(tenant)s and m.conversion_id = any(%(conversions)s)

-- name: show_open_orders
select to_jsonb(o) - 'tenant_id' as row from open_orders o
where o.tenant_id = %(tenant)s and o.conversion_id = any(%(conversions)s)

-- name: show_order_names
select to_jsonb(n) - 'tenant_id' as row from order_names n
where n.tenant_id = %(tenant)s
    and (n.order_key in (select c.order_key from conversions c
            where c.tenant_id = %(tenant)s and c.id = any(%(conversions)s))
        or n.name in (select e.body #>> '{sale,subscription_id}' from events e
            where e.tenant_id = %(tenant)s and e.id = any(%(events)s)))

-- name: show_deliveries
select to_jsonb(c) - 'tenant_id' as row from json_to_recordset(%(rows)s::json) as r (id bigint, created_at timestamptz)
join capi_events c on c.id = r.id and c.created_at = r.created_at where c.tenant_id = %(tenant)s

-- name: show_attempts
select to_jsonb(a) - 'tenant_id' as row from json_to_recordset(%(rows)s::json) as r (id bigint, created_at timestamptz)
join dispatch_attempts a on a.capi_event_id = r.id and a.capi_created_at = r.created_at where a.tenant_id = %(tenant)s

-- name: show_letters
select to_jsonb(l) - 'tenant_id' as row from dead_letters l where l.tenant_id = %(tenant)s and l.id = any(%(letters)s)
