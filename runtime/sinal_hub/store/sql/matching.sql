-- Statements of matching. Each takes its rows as arrays, one a column, with each row's tenant in another (`gate`):
-- batches of any size and of many tenants are one round trip. What a statement returns names its tenant. A comparison
-- with `r.tenant` stands beside every look-up, so that no batch sees or touches what is another tenant's. Rows that are
-- one value each come as `item`; a list inside a row comes as the text of
-- an array, a JSON document between record separators (`columns`).
-- `offset 0` and `limit` fence a look-up, and `= any(array(…))` bounds what an update looks at, so that each row of a
-- batch costs a look-up in an index whatever the planner, whose plans may be older than the rows, believes of a table.

-- name: claim
-- Rows are sorted, so that concurrent batches wait for each other in one order. A claim that ran out is taken over. One
-- that lasts for ever may have been hashed since, when its order was erased or grew old.
insert into claims as held (tenant_id, claim_key, source, owner, expires_at)
select r.tenant, r.key, r.source, r.owner, r.expires_at
from unnest(
    %(tenant)s::text[], %(key)s::text[], %(source)s::text[], %(owner)s::text[], %(expires_at)s::timestamptz[]
) as r (tenant, key, source, owner, expires_at)
left join lateral (
    select true as taken from claims h
    where r.expires_at is null and h.tenant_id = r.tenant and h.claim_key = sinal_hashed_claim(r.tenant, r.key)
    limit 1
) h on true
where h.taken is null
order by r.tenant, r.key
on conflict (tenant_id, claim_key) do update
    set source = excluded.source, owner = excluded.owner, expires_at = excluded.expires_at, first_seen_at = now()
    where held.expires_at < now()
returning tenant_id, claim_key as key

-- name: known_events
select r.tenant as tenant_id, e.id
from unnest(
    %(tenant)s::text[], %(id)s::text[], %(received_at)s::timestamptz[]
) as r (tenant, id, received_at), lateral (
    select e.id from events e
    where e.id = r.id and e.received_at = r.received_at and e.tenant_id = r.tenant and e.outcome <> 'dead' limit 1) as e

-- name: count_repeats
with r as (
    select * from unnest(%(tenant)s::text[], %(id)s::text[], %(times)s::int[]) as r (tenant, id, times)
)
update events e set repeats = e.repeats + r.times
from r
where e.id = any(array(select id from r)) and e.id = r.id and e.tenant_id = r.tenant

-- name: known_clicks
select distinct on (r.tenant, r.click_id) r.tenant as tenant_id, r.click_id, c.id, c.ts
from unnest(%(tenant)s::text[], %(click_id)s::text[], %(ts)s::timestamptz[]) as r (tenant, click_id, ts), lateral (
    select c.id, c.ts from clicks c
    where (c.tenant_id || '|' || lower(c.click_id)) collate "C" = (r.tenant || '|' || lower(r.click_id))
        and c.click_id = r.click_id and c.ts between r.ts - interval '30 days' and r.ts + interval '30 days' limit 200) as c
order by r.tenant, r.click_id, c.ts desc, c.id

-- name: update_clicks
-- Each row goes by its key, as a join would not: the planner takes a batch for ten rows and goes through all of it for
-- each. The first page is told by a visit from before what is there. A row that was deleted meanwhile is stored anew.
insert into clicks as c (id, ts, tenant_id, click_id, last_seen_at, funnel, session_id, external_id, fbclid, fbc, fbp,
    utms, ip, ua, url, referrer, user_data, products, from_ad, consent_ads, first_at) overriding system value
select r.id, r.known_ts, r.tenant, r.click_id, r.last_seen_at, r.funnel, r.session_id, r.external_id, r.fbclid, r.fbc,
    r.fbp, r.utms, r.ip, r.ua, r.url, r.referrer, r.user_data, r.products::text[], r.from_ad, r.consent_ads, r.ts
from unnest(
    %(tenant)s::text[], %(id)s::bigint[], %(ts)s::timestamptz[], %(known_ts)s::timestamptz[], %(click_id)s::text[],
    %(last_seen_at)s::timestamptz[], %(funnel)s::text[], %(session_id)s::text[], %(external_id)s::text[],
    %(fbclid)s::text[], %(fbc)s::text[], %(fbp)s::text[], string_to_array(%(utms)s, E'\x1E')::jsonb[], %(ip)s::text[],
    %(ua)s::text[],
    %(url)s::text[], %(referrer)s::text[], string_to_array(%(user_data)s, E'\x1E')::jsonb[], %(products)s::text[],
    %(from_ad)s::boolean[],
    %(consent_ads)s::boolean[]
) as r (
    tenant, id, ts, known_ts, click_id, last_seen_at, funnel, session_id, external_id, fbclid, fbc, fbp, utms, ip, ua, url,
    referrer, user_data, products, from_ad, consent_ads)
order by r.tenant, r.click_id
on conflict (id, ts) do update set
    last_seen_at = greatest(c.last_seen_at, excluded.last_seen_at),
    session_id = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.session_id, c.session_id)
        else coalesce(c.session_id, excluded.session_id) end,
    external_id = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.external_id, c.external_id)
        else coalesce(c.external_id, excluded.external_id) end,
    fbclid = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.fbclid, c.fbclid)
        else coalesce(c.fbclid, excluded.fbclid) end,
    fbc = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.fbc, c.fbc)
        else coalesce(c.fbc, excluded.fbc) end,
    fbp = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.fbp, c.fbp)
        else coalesce(c.fbp, excluded.fbp) end,
    ip = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.ip, c.ip)
        else coalesce(c.ip, excluded.ip) end,
    ua = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.ua, c.ua)
        else coalesce(c.ua, excluded.ua) end,
    consent_ads = case when excluded.last_seen_at >= c.last_seen_at then coalesce(excluded.consent_ads, c.consent_ads)
        else coalesce(c.consent_ads, excluded.consent_ads) end,
    first_at = least(coalesce(c.first_at, c.ts), excluded.first_at),
    url = case when excluded.first_at < coalesce(c.first_at, c.ts)
        then coalesce(excluded.url, c.url) else coalesce(c.url, excluded.url) end,
    referrer = case when excluded.first_at < coalesce(c.first_at, c.ts)
        then coalesce(excluded.referrer, c.referrer) else coalesce(c.referrer, excluded.referrer) end,
    utms = c.utms || excluded.utms,
    user_data = c.user_data || excluded.user_data,
    products = array(select distinct p from unnest(c.products || excluded.products) as p order by p limit 50),
    from_ad = c.from_ad or excluded.from_ad

-- name: insert_clicks
insert into clicks (tenant_id, click_id, ts, last_seen_at, funnel, session_id, external_id, fbclid, fbc, fbp, utms, ip,
    ua, url, referrer, user_data, products, from_ad, consent_ads)
select r.tenant, r.click_id, r.ts, r.last_seen_at, r.funnel, r.session_id, r.external_id, r.fbclid, r.fbc, r.fbp,
    r.utms, r.ip, r.ua, r.url, r.referrer, r.user_data, r.products::text[], r.from_ad, r.consent_ads
from unnest(
    %(tenant)s::text[], %(click_id)s::text[], %(ts)s::timestamptz[], %(last_seen_at)s::timestamptz[],
    %(funnel)s::text[], %(session_id)s::text[], %(external_id)s::text[], %(fbclid)s::text[], %(fbc)s::text[],
    %(fbp)s::text[], string_to_array(%(utms)s, E'\x1E')::jsonb[], %(ip)s::text[], %(ua)s::text[], %(url)s::text[],
    %(referrer)s::text[],
    string_to_array(%(user_data)s, E'\x1E')::jsonb[], %(products)s::text[], %(from_ad)s::boolean[],
    %(consent_ads)s::boolean[]
) as r (
    tenant, click_id, ts, last_seen_at, funnel, session_id, external_id, fbclid, fbc, fbp, utms, ip, ua, url,
    referrer, user_data, products, from_ad, consent_ads)

-- name: upsert_sessions
insert into sessions as s (tenant_id, session_id, first_click_id, last_click_id, first_seen_at, last_seen_at)
select r.tenant, r.session_id, r.first_click_id, r.last_click_id, r.first_seen_at, r.last_seen_at
from unnest(
    %(tenant)s::text[], %(session_id)s::text[], %(first_click_id)s::text[], %(last_click_id)s::text[],
    %(first_seen_at)s::timestamptz[], %(last_seen_at)s::timestamptz[]
) as r (tenant, session_id, first_click_id, last_click_id, first_seen_at, last_seen_at)
order by r.tenant, r.session_id
on conflict (tenant_id, session_id) do update set
    first_click_id = case when excluded.first_seen_at < s.first_seen_at
        then excluded.first_click_id else s.first_click_id end,
    last_click_id = case when excluded.last_seen_at >= s.last_seen_at
        then excluded.last_click_id else s.last_click_id end,
    first_seen_at = least(s.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at)

-- name: upsert_identities
insert into identities as i (tenant_id, click_id, email_hash, phone_hash, first_seen_at, last_seen_at)
select r.tenant, r.click_id, r.email_hash, r.phone_hash, r.first_seen_at, r.last_seen_at
from unnest(
    %(tenant)s::text[], %(click_id)s::text[], %(email_hash)s::text[], %(phone_hash)s::text[],
    %(first_seen_at)s::timestamptz[], %(last_seen_at)s::timestamptz[]
) as r (tenant, click_id, email_hash, phone_hash, first_seen_at, last_seen_at)
order by r.tenant, r.click_id, r.email_hash, r.phone_hash
on conflict (tenant_id, click_id, email_hash, phone_hash) do update set
    first_seen_at = least(i.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at)

-- name: create_orders
insert into conversions (tenant_id, gateway, order_key, order_id, parent_order_id, funnel, integration, ts, last_at)
select r.tenant, r.gateway, r.order_key, r.order_id, r.parent_order_id, r.funnel, r.integration, r.at, r.at
from unnest(
    %(tenant)s::text[], %(gateway)s::text[], %(order_key)s::text[], %(order_id)s::text[],
    %(parent_order_id)s::text[], %(funnel)s::text[], %(integration)s::text[], %(at)s::timestamptz[]
) as r (tenant, gateway, order_key, order_id, parent_order_id, funnel, integration, at)
order by r.tenant, r.gateway, r.order_key
on conflict (tenant_id, order_key, gateway) do nothing

-- name: order_ids
select r.tenant as tenant_id, c.id
from unnest(%(tenant)s::text[], %(gateway)s::text[], %(order_key)s::text[]) as r (tenant, gateway, order_key), lateral (
    select c.id from conversions c
    where c.tenant_id = r.tenant and c.order_key = r.order_key and c.gateway = r.gateway limit 1) as c

-- name: lock_names
-- Batches that speak of one order under several ids come one after the other, so that each sees what the last one
-- learned. A statement of its own: one that waits sees nothing of what it waited for.
select t.tenant_id, pg_advisory_xact_lock(1397314629, hashtext(t.tenant_id)) as locked from (
    select t as tenant_id from unnest(%(tenants)s::text[]) as t order by hashtext(t), t) as t

-- name: learn_names
-- An alias goes to the order that was told last; a trial that is known stays as it is.
insert into order_names as n (tenant_id, kind, name, gateway, order_key)
select r.tenant, r.kind, r.name, r.gateway, r.order_key
from unnest(
    %(tenant)s::text[], %(kind)s::text[], %(name)s::text[], %(gateway)s::text[], %(order_key)s::text[]
) as r (tenant, kind, name, gateway, order_key)
order by r.tenant, r.name, r.gateway, r.kind
on conflict (tenant_id, name, gateway, kind) do update set order_key = excluded.order_key, last_at = now()
    where n.kind = 'alias'

-- name: orders_of_names
select r.tenant as tenant_id, r.gateway, r.name, n.order_key
from unnest(%(tenant)s::text[], %(gateway)s::text[], %(name)s::text[]) as r (tenant, gateway, name), lateral (
    select n.order_key from order_names n
    where n.tenant_id = r.tenant and n.name = r.name and n.gateway = r.gateway and n.kind = 'alias' limit 1) as n

-- name: first_charges
-- Charges that are the first of a subscription whose trial is known, also when they come again.
update order_names n set order_key = r.order_key, last_at = now()
from unnest(
    %(tenant)s::text[], %(gateway)s::text[], %(name)s::text[], %(order_key)s::text[]
) as r (tenant, gateway, name, order_key)
where n.tenant_id = r.tenant and n.name = r.name and n.gateway = r.gateway and n.kind = 'trial'
    and (n.order_key is null or n.order_key = r.order_key)
returning r.tenant as tenant_id, r.gateway, r.order_key

-- name: misnamed_orders
-- Orders that were opened under a name before their own id was told.
select r.tenant as tenant_id, c.gateway, c.order_key, r.target, c.parent_order_id, c.funnel, c.integration, c.ts
from unnest(
    %(tenant)s::text[], %(gateway)s::text[], %(name)s::text[], %(target)s::text[]
) as r (tenant, gateway, name, target), lateral (
    select * from conversions c
    where c.tenant_id = r.tenant and c.order_key = r.name and c.gateway = r.gateway limit 1) as c

-- name: merge_orders
-- What was told under a name moves to its order, with the claim of a Purchase that was sent under it; what stood in its
-- place goes. An event that was blanked stays blank.
with r as (
    select * from unnest(
        %(tenant)s::text[], %(source)s::bigint[], %(target)s::bigint[], %(gateway)s::text[], %(name)s::text[],
        %(order_key)s::text[]
    ) as r (tenant, source, target, gateway, name, order_key)
), moved as (
    update events e set conversion_id = r.target, order_id = r.order_key,
        body = case when e.body = '{}' then e.body
            else jsonb_set(e.body || jsonb_build_object('order_id', r.order_key), '{sale,order_id}', to_jsonb(r.order_key),
                false)
            end
    from r
    where e.conversion_id = any(array(select source from r)) and e.conversion_id = r.source and e.tenant_id = r.tenant
    returning e.tenant_id, e.id, r.target
), sent as (
    update capi_events c set conversion_id = m.target
    from moved m
    where c.source_event = any(array(select id from moved)) and c.source_event = m.id and c.tenant_id = m.tenant_id
), carried as (
    insert into claims (tenant_id, claim_key, source, owner)
    select d.tenant_id, 'Purchase:' || r.gateway || ':' || r.order_key, d.source, d.owner
    from r, lateral (
        select * from claims d
        where d.tenant_id = r.tenant and d.expires_at is null and d.claim_key in (
            'Purchase:' || r.gateway || ':' || r.name,
            sinal_hashed_claim(r.tenant, 'Purchase:' || r.gateway || ':' || r.name))
        limit 1) as d
    on conflict (tenant_id, claim_key) do nothing
), opened as (
    delete from open_orders o using r where o.tenant_id = r.tenant and o.conversion_id = r.source
), matched as (
    delete from matches m using r where m.tenant_id = r.tenant and m.conversion_id = r.source
)
delete from conversions c using r where c.id = r.source and c.tenant_id = r.tenant

-- name: lock_orders
-- `namesake`: another gateway has used the number before.
select c.*, c.signals::text as signals_text, exists (select from conversions o
    where o.tenant_id = c.tenant_id and o.order_key = c.order_key and o.gateway <> c.gateway and o.id < c.id) as namesake
from conversions c
where c.id = any(%(item)s::bigint[])
    and c.tenant_id = any(%(tenants)s::text[])
order by c.id
for update

-- name: reopenable
-- `at` is a day earlier than the visit: what is told after the purchase may still change the match.
select distinct r.tenant as tenant_id, o.conversion_id as id
from unnest(%(tenant)s::text[], %(key)s::text[], %(at)s::timestamptz[]) as r (tenant, key, at), lateral (
    select o.conversion_id from open_orders o
    where o.tenant_id = r.tenant and o.key = r.key
        and r.at <= o.last_at and r.at >= o.last_at - interval '60 days' offset 0) as o

-- name: open_orders
insert into open_orders as o (tenant_id, key, conversion_id, last_at)
select r.tenant, r.key, r.conversion_id, r.last_at
from unnest(
    %(tenant)s::text[], %(key)s::text[], %(conversion_id)s::bigint[], %(last_at)s::timestamptz[]
) as r (tenant, key, conversion_id, last_at)
order by r.tenant, r.key, r.conversion_id
on conflict (tenant_id, key, conversion_id) do update set last_at = excluded.last_at
    where o.last_at < excluded.last_at

-- name: close_orders
delete from open_orders o
where o.conversion_id = any(%(item)s::bigint[])
    and o.tenant_id = any(%(tenants)s::text[])

-- name: enter
-- Every statement of a batch looks few rows up in large tables. Plans are made once, maybe while the tables are small,
-- and must not scan them when they have grown. The lock is shared by all but erasures and withdrawals of consent: a
-- batch is over before one of those begins, or sees its marks.
select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    (select count(pg_advisory_xact_lock_shared(1397314628, t.key)) from (
        select distinct hashtext(t) as key from unnest(%(tenants)s::text[]) as t order by key) as t)

-- name: marked
-- Tenants of whom anything was asked at all: of the others no key need be made. Not part of `enter`, which may wait for
-- the end of what it would have to see.
select t.tenant as tenant_id from unnest(%(tenants)s::text[]) as t (tenant)
where exists (select from privacy_marks m where m.tenant_id = t.tenant)

-- name: marks
select i.tenant as tenant_id, m.key, m.kind, (extract(epoch from m.at) * 1000)::bigint as at_ms
from unnest(%(tenant)s::text[], %(item)s::text[]) as i (tenant, key),
    lateral (
        select * from privacy_marks m
        where m.tenant_id = i.tenant and m.key = i.key and (m.expires_at is null or m.expires_at > now()) offset 0) as m

-- name: heard
update heartbeats h set stored_at = clock_timestamp(), seconds = extract(epoch from clock_timestamp() - h.sent_at)
from unnest(%(tenant)s::text[], %(item)s::text[]) as i (tenant, id)
where h.tenant_id = i.tenant and h.event_id = i.id and (h.stored_at is null or h.stored_at < h.sent_at)

-- name: withdraw_clicks
-- Of visitors whose latest word is no: what waits is withheld; what is being sent learns it for its next try.
with visitors as (
    select v.tenant, v.click_id
    from unnest(%(tenant)s::text[], %(item)s::text[]) as v (tenant, click_id), lateral (
        select c.consent_ads from clicks c
        where (c.tenant_id || '|' || lower(c.click_id)) collate "C" = (v.tenant || '|' || lower(v.click_id))
            and c.click_id = v.click_id and c.ts >= now() - interval '30 days' order by c.last_seen_at desc limit 1) as c
    where c.consent_ads is false
), told as (
    select v.tenant, e.id, e.conversion_id
    from visitors v join events e on e.tenant_id = v.tenant and e.click_id = v.click_id
        and e.received_at >= now() - interval '15 days'
), orders as (
    select tenant, conversion_id from told where conversion_id is not null
    union
    select v.tenant, m.conversion_id
    from visitors v join matches m on m.tenant_id = v.tenant and m.click_id = v.click_id
), sources as (
    select tenant, id from told
    union
    select o.tenant, e.id from orders o join events e on e.conversion_id = o.conversion_id and e.tenant_id = o.tenant
        and e.received_at >= now() - interval '15 days'
)
update capi_events c set
    consent_ads = false,
    status = case c.status when 'pending' then 'withheld' else c.status end,
    reason = case c.status when 'pending' then 'no_consent' else c.reason end,
    settled_at = case c.status when 'pending' then now() else c.settled_at end
from sources s
where c.tenant_id = s.tenant and c.source_event = s.id and c.settled_at is null and c.status in ('pending', 'sending')
    and c.created_at >= now() - interval '15 days'

-- name: matches_of
select m.tenant_id, m.conversion_id, m.click_id, m.decision, m.confidence_score, m.rule_applied
from matches m
where m.conversion_id = any(%(item)s::bigint[])
    and m.tenant_id = any(%(tenants)s::text[])

-- name: candidates
-- Every visit that shares anything with one of the sales, within the widest window; scoring applies the funnel's own.
-- `ts` is bounded so that old partitions are left alone: a visitor who came back was first seen 30 days before at most.
-- A click with the same `fbc` has the same `fbclid`. Where our own id came back it says which click it was; elsewhere
-- other ad clicks of the browsers that were found are looked up too, for the last of them counts, and damaged ids are
-- looked up by what is left of them. The limits fence each look-up, so that it stays one in an index whatever the
-- planner believes of the tables.
with s as (
    select * from unnest(
        %(tenant)s::text[], %(id)s::bigint[], %(since)s::timestamptz[], %(proof_since)s::timestamptz[],
        %(until)s::timestamptz[], %(ip_since)s::timestamptz[], %(ip_until)s::timestamptz[], %(click_ids)s::text[], %(chosen)s::text[],
        %(parts)s::text[], %(session_ids)s::text[],
        %(external_ids)s::text[], %(fbclids)s::text[], %(fbps)s::text[], %(emails)s::text[], %(phones)s::text[],
        %(networks)s::text[]
    ) as s (
        tenant, id, since, proof_since, until, ip_since, ip_until, click_ids, chosen, parts, session_ids, external_ids,
        fbclids, fbps, emails, phones, networks)
), own (tenant, conversion_id, id, ts) as materialized (
    select s.tenant, s.id, c.id, c.ts from s, unnest(s.click_ids::text[]) as v (value), lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || lower(c.click_id)) collate "C" = (s.tenant || '|' || lower(v.value))
            and c.click_id = v.value and c.ts between s.since - interval '30 days' and s.until limit %(per_key)s) as c
), rest as materialized (
    select s.* from s where not exists (select from own o where o.conversion_id = s.id)
), seen (tenant, id, since, until, click_id) as (
    select s.tenant, s.id, s.since, s.until, s.chosen from s where s.chosen is not null
    union
    select s.tenant, s.id, s.since, s.until, i.click_id from s, unnest(s.emails::text[]) as v (value), lateral (
        select i.click_id from identities i where i.tenant_id = s.tenant and i.email_hash = v.value
            and i.last_seen_at >= s.proof_since limit %(per_key)s) as i
    union
    select s.tenant, s.id, s.since, s.until, i.click_id from s, unnest(s.phones::text[]) as v (value), lateral (
        select i.click_id from identities i where i.tenant_id = s.tenant and i.phone_hash = v.value
            and i.last_seen_at >= s.proof_since limit %(per_key)s) as i
), direct (tenant, conversion_id, id, ts) as materialized (
    select * from own
    union
    select n.tenant, n.id, c.id, c.ts from seen n, lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || lower(c.click_id)) collate "C" = (n.tenant || '|' || lower(n.click_id))
            and c.click_id = n.click_id and c.ts between n.since - interval '30 days' and n.until
            limit %(per_key)s) as c
    union
    select s.tenant, s.id, c.id, c.ts from rest s, unnest(s.parts::text[]) as v (value), lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || lower(c.click_id)) collate "C" >= (s.tenant || '|' || v.value)
            and (c.tenant_id || '|' || lower(c.click_id)) collate "C" <= (s.tenant || '|' || v.value || '~')
            and c.ts between s.since - interval '30 days' and s.until limit %(per_address)s) as c
    union
    select s.tenant, s.id, c.id, c.ts from s, unnest(s.session_ids::text[]) as v (value), lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || c.session_id) = (s.tenant || '|' || v.value) and c.session_id is not null
            and c.ts between s.since - interval '30 days' and s.until limit %(per_key)s) as c
    union
    select s.tenant, s.id, c.id, c.ts from s, unnest(s.external_ids::text[]) as v (value), lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || c.external_id) = (s.tenant || '|' || v.value) and c.external_id is not null
            and c.ts between s.since - interval '30 days' and s.until limit %(per_key)s) as c
    union
    select s.tenant, s.id, c.id, c.ts from s, unnest(s.fbclids::text[]) as v (value), lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || c.fbclid) = (s.tenant || '|' || v.value) and c.fbclid is not null
            and c.ts between s.since - interval '30 days' and s.until limit %(per_key)s) as c
    union
    select s.tenant, s.id, c.id, c.ts from s, unnest(s.fbps::text[]) as v (value), lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || c.fbp) = (s.tenant || '|' || v.value) and c.fbp is not null
            and c.ts between s.since - interval '30 days' and s.until limit %(per_key)s) as c
), browsers (tenant, conversion_id, since, until, fbp, session_id, external_id) as materialized (
    select distinct s.tenant, s.id, s.since, s.until, c.fbp, c.session_id, c.external_id
    from rest s join direct d on d.conversion_id = s.id,
        lateral (select * from clicks c where c.id = d.id and c.ts = d.ts limit 1) as c
), found (tenant, conversion_id, id, ts) as (
    select * from direct
    union
    select b.tenant, b.conversion_id, c.id, c.ts
    from (select distinct tenant, conversion_id, since, until, fbp from browsers where fbp is not null) as b, lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || c.fbp) = (b.tenant || '|' || b.fbp) and c.fbp is not null
            and c.from_ad and c.ts between b.since - interval '30 days' and b.until
            order by c.ts desc limit %(per_address)s) as c
    union
    select b.tenant, b.conversion_id, c.id, c.ts
    from (select distinct tenant, conversion_id, since, until, session_id from browsers
        where session_id is not null) as b, lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || c.session_id) = (b.tenant || '|' || b.session_id) and c.session_id is not null
            and c.from_ad and c.ts between b.since - interval '30 days' and b.until
            order by c.ts desc limit %(per_address)s) as c
    union
    select b.tenant, b.conversion_id, c.id, c.ts
    from (select distinct tenant, conversion_id, since, until, external_id from browsers
        where external_id is not null) as b, lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || c.external_id) = (b.tenant || '|' || b.external_id) and c.external_id is not null
            and c.from_ad and c.ts between b.since - interval '30 days' and b.until
            order by c.ts desc limit %(per_address)s) as c
    union
    select s.tenant, s.id, c.id, c.ts from s, unnest(s.networks::text[]) as v (value), lateral (
        select c.id, c.ts from clicks c
        where (c.tenant_id || '|' || sinal_network(c.ip)) = (s.tenant || '|' || v.value) and c.ip is not null
            and c.ts between s.ip_since - interval '7 days' and s.ip_until and c.last_seen_at >= s.ip_since
            order by c.ts desc limit %(per_address)s) as c
)
select f.tenant as tenant_id, f.conversion_id, c.click_id, coalesce(c.first_at, c.ts) as first_at, c.last_seen_at,
    c.funnel, c.session_id, c.external_id,
    c.fbclid, c.fbc, c.fbp, c.ip, c.ua, c.url, c.referrer, c.utms::text as utms, c.user_data::text as user_data,
    c.products, c.from_ad,
    c.consent_ads,
    array(select i.email_hash from identities i
        where i.tenant_id = f.tenant and i.click_id = c.click_id and i.email_hash is not null) as emails,
    array(select i.phone_hash from identities i
        where i.tenant_id = f.tenant and i.click_id = c.click_id and i.phone_hash is not null) as phones
from found f, lateral (select * from clicks c where c.id = f.id and c.ts = f.ts limit 1) as c

-- name: save_orders
with r as (
    select * from unnest(
        %(tenant)s::text[], %(id)s::bigint[], %(status)s::text[], %(status_at)s::timestamptz[],
        %(amount)s::numeric[], %(currency)s::text[], %(funnel)s::text[], %(integration)s::text[],
        %(ts)s::timestamptz[], %(last_at)s::timestamptz[], %(email_hash)s::text[], %(phone_hash)s::text[],
        string_to_array(%(signals)s, E'\x1E')::jsonb[], %(hold_until)s::timestamptz[], %(recheck_at)s::timestamptz[],
        %(refunded_parts)s::numeric[], %(refunded_total)s::numeric[]
    ) as r (
        tenant, id, status, status_at, amount, currency, funnel, integration, ts, last_at, email_hash, phone_hash,
        signals, hold_until, recheck_at, refunded_parts, refunded_total)
)
update conversions c set
    status = r.status, status_at = r.status_at, amount = coalesce(r.amount, c.amount),
    currency = coalesce(r.currency, c.currency), funnel = r.funnel,
    integration = coalesce(r.integration, c.integration),
    ts = r.ts, last_at = r.last_at, email_hash = r.email_hash, phone_hash = r.phone_hash, signals = r.signals,
    hold_until = r.hold_until, recheck_at = r.recheck_at, refunded_parts = r.refunded_parts,
    refunded_total = r.refunded_total, updated_at = now()
from r
where c.id = any(array(select id from r)) and c.id = r.id and c.tenant_id = r.tenant

-- name: save_matches
insert into matches as m (tenant_id, conversion_id, click_id, decision, confidence_score, rule_applied, explanation)
select r.tenant, r.conversion_id, r.click_id, r.decision, r.score, r.rule, r.explanation
from unnest(
    %(tenant)s::text[], %(conversion_id)s::bigint[], %(click_id)s::text[], %(decision)s::text[],
    %(score)s::double precision[], %(rule)s::text[], string_to_array(%(explanation)s, E'\x1E')::jsonb[]
) as r (tenant, conversion_id, click_id, decision, score, rule, explanation)
order by r.conversion_id
on conflict (conversion_id) do update set
    click_id = excluded.click_id, decision = excluded.decision, confidence_score = excluded.confidence_score,
    rule_applied = excluded.rule_applied, explanation = excluded.explanation, revision = m.revision + 1,
    matched_at = now()

-- name: add_capi_events
-- Milliseconds only: the message that names the row carries no more. The row of a delivered event counts as published
-- from the start: after a crash before it is, its event is delivered again and `unpublished_of` finds the row. That
-- spares every row an update.
insert into capi_events (created_at, tenant_id, source_event, conversion_id, funnel, destination, event_name, event_id,
    event_time, payload_json, consent_ads, received_at, published_at)
select date_trunc('milliseconds', now()), r.tenant, r.source_event, r.conversion_id, r.funnel, r.destination,
    r.event_name, r.event_id, r.event_time, r.payload_json, r.consent_ads, r.received_at,
    case when r.delivered then now() end
from unnest(
    %(tenant)s::text[], %(source_event)s::text[], %(conversion_id)s::bigint[], %(funnel)s::text[],
    %(destination)s::text[], %(event_name)s::text[], %(event_id)s::text[], %(event_time)s::bigint[],
    string_to_array(%(payload_json)s, E'\x1E'), %(consent_ads)s::boolean[], %(received_at)s::timestamptz[],
    %(delivered)s::boolean[]
) as r (
    tenant, source_event, conversion_id, funnel, destination, event_name, event_id, event_time, payload_json,
    consent_ads, received_at, delivered)
returning id, created_at, tenant_id, destination, event_id, generation, source_event, published_at is not null as marked

-- name: insert_events
-- A row that was given up and is played again is written over.
insert into events as e (id, received_at, occurred_at, tenant_id, funnel, kind, source, event_id, status, gateway,
    integration, order_id, click_id, value, currency, email_hash, consent_ads, conversion_id, outcome, reason, body)
select r.id, r.received_at, r.occurred_at, r.tenant, r.funnel, r.kind, r.source, r.event_id, r.status, r.gateway,
    r.integration, r.order_id, r.click_id, r.value, r.currency, r.email_hash, r.consent_ads, r.conversion_id, r.outcome,
    r.reason, r.body
from unnest(
    %(tenant)s::text[], %(id)s::text[], %(received_at)s::timestamptz[], %(occurred_at)s::timestamptz[],
    %(funnel)s::text[], %(kind)s::text[], %(source)s::text[], %(event_id)s::text[], %(status)s::text[],
    %(gateway)s::text[], %(integration)s::text[], %(order_id)s::text[], %(click_id)s::text[], %(value)s::numeric[],
    %(currency)s::text[], %(email_hash)s::text[], %(consent_ads)s::boolean[], %(conversion_id)s::bigint[],
    %(outcome)s::text[], %(reason)s::text[], string_to_array(%(body)s, E'\x1E')::jsonb[]
) as r (
    tenant, id, received_at, occurred_at, funnel, kind, source, event_id, status, gateway, integration, order_id,
    click_id, value, currency, email_hash, consent_ads, conversion_id, outcome, reason, body)
on conflict (id, received_at) do update set
    event_id = excluded.event_id, status = excluded.status, gateway = excluded.gateway,
    integration = excluded.integration, order_id = excluded.order_id, click_id = excluded.click_id,
    value = excluded.value, currency = excluded.currency, email_hash = excluded.email_hash,
    consent_ads = excluded.consent_ads, conversion_id = excluded.conversion_id, outcome = excluded.outcome,
    reason = excluded.reason, body = excluded.body
    where e.outcome = 'dead'
returning e.tenant_id

-- name: update_outcomes
with r as (
    select * from unnest(
        %(tenant)s::text[], %(id)s::text[], %(received_at)s::timestamptz[], %(outcome)s::text[], %(reason)s::text[],
        %(event_id)s::text[]
    ) as r (tenant, id, received_at, outcome, reason, event_id)
)
update events e set outcome = r.outcome, reason = r.reason, event_id = coalesce(r.event_id, e.event_id)
from r
where e.id = any(array(select id from r)) and e.id = r.id and e.received_at = r.received_at and e.tenant_id = r.tenant

-- name: open_events
-- Sales that a better match or the end of a wait may still send, in the sequence they came in.
select tenant_id, conversion_id, outcome, body::text as body from events
where conversion_id = any(%(item)s::bigint[])
    and tenant_id = any(%(tenants)s::text[])
    and (outcome = 'waiting' or (outcome = 'withheld' and reason in ('unmatched', 'review'))
        or (outcome = 'withheld' and reason = 'no_consent' and consent_ads is null))
order by received_at, id

-- name: unpublished_of
-- Of events that came again. One that nobody has claimed yet may be marked and yet not published.
select id, created_at, tenant_id, destination, event_id, generation, source_event, published_at is not null as marked
from capi_events
where source_event = any(%(item)s::text[])
    and tenant_id = any(%(tenants)s::text[])
    and status = 'pending' and (published_at is null or attempts = 0)

-- name: unpublished
select id, created_at, tenant_id, destination, event_id, generation from capi_events
where published_at is null and status = 'pending' and created_at < now() - make_interval(secs => %(older_than_s)s)
    and (next_attempt_at is null or next_attempt_at <= now())
order by created_at limit %(limit)s

-- name: mark_published
-- Conditions are asked of the row itself: one that a worker has changed in between is looked at again.
with r as (select * from json_to_recordset(%(rows)s::json) as r (id bigint, generation int, published boolean))
update capi_events c set published_at = case when r.published then now() end
from r
where c.id = any(array(select id from r)) and c.id = r.id and c.generation = r.generation
    and c.created_at >= %(since)s and c.created_at <= %(until)s

-- name: left_over
-- Asked every second, mostly in vain: one question, though two kinds of work may be there.
select array(select distinct tenant_id from conversions where hold_until <= %(now)s or recheck_at <= %(now)s) as due,
    exists (
        select from capi_events
        where published_at is null and status = 'pending' and created_at < now() - make_interval(secs => %(older_than_s)s)
            and (next_attempt_at is null or next_attempt_at <= now())) as unpublished

-- name: lock_due_orders
-- Nobody is waited for: tenants may come in any sequence.
select c.*
from unnest(%(tenant)s::text[], %(now)s::timestamptz[], %(most)s::int[]) as r (tenant, now, most), lateral (
    select c.*, c.signals::text as signals_text, exists (select from conversions o
        where o.tenant_id = c.tenant_id and o.order_key = c.order_key and o.gateway <> c.gateway and o.id < c.id)
        as namesake
    from conversions c
    where c.tenant_id = r.tenant and (c.hold_until <= r.now or c.recheck_at <= r.now)
    order by c.id limit r.most
    for update skip locked) as c

-- name: close_old_orders
-- No click of the window can come any more; the keys are hashes and addresses that need not be kept.
delete from open_orders where ctid = any(array(
    select ctid from open_orders where last_at < %(before)s limit %(limit)s for update skip locked))

-- name: dead_letter
insert into dead_letters (tenant_id, stage, event_row, reason, detail, attempts, body)
values (%(tenant)s, 'match', %(event_row)s, %(reason)s, %(detail)s, %(attempts)s, %(body)s)
on conflict do nothing

-- name: dead_event
insert into events (id, received_at, occurred_at, tenant_id, funnel, kind, source, outcome, reason, body)
select %(id)s, %(received_at)s, %(occurred_at)s, %(tenant)s, %(funnel)s, %(kind)s, %(source)s, 'dead', %(reason)s, '{}'
on conflict do nothing

-- name: upsert_tenants
insert into tenants as t (id, name, plan, status)
select r.id, r.name, r.plan, r.status
from json_to_recordset(%(tenants)s::json) as r (id text, name text, plan jsonb, status text)
order by r.id
on conflict (id) do update set
    name = excluded.name, plan = excluded.plan, status = excluded.status, updated_at = now()
    where (t.name, t.plan, t.status) is distinct from (excluded.name, excluded.plan, excluded.status)

-- name: upsert_funnels
insert into funnels as f (tenant_id, name, type, config_json, active)
select r.tenant, r.name, r.type, r.config, true
from json_to_recordset(%(funnels)s::json) as r (tenant text, name text, type text, config jsonb)
order by r.tenant, r.name
on conflict (tenant_id, name) do update set
    type = excluded.type, config_json = excluded.config_json, active = true, updated_at = now()
    where (f.type, f.config_json, f.active) is distinct from (excluded.type, excluded.config_json, true)

-- name: retire_funnels
update funnels f set active = false, updated_at = now()
from json_to_recordset(%(tenants)s::json) as r (id text, funnels text[])
where f.tenant_id = r.id and f.active and f.name <> all(r.funnels)
