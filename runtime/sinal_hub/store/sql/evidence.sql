-- What an event's detail tells beside its own row.

-- name: subject
select c.signals::text as signals, c.hold_until, e.integration
from events e left join conversions c on c.id = e.conversion_id and c.tenant_id = e.tenant_id
where e.id = %(id)s and e.tenant_id = %(tenant)s
limit 1

-- name: clicks
select distinct on (c.click_id) c.click_id, c.funnel, coalesce(c.first_at, c.ts) as first_at, c.last_seen_at as last_at, c.url, c.referrer,
    c.utms as utm, c.from_ad
from unnest(%(click_ids)s::text[]) as w (click_id), lateral (
    select * from clicks c
    where (c.tenant_id || '|' || lower(c.click_id)) collate "C" = (%(tenant)s || '|' || lower(w.click_id))
        and c.click_id = w.click_id limit 50) as c
order by c.click_id, c.last_seen_at desc

-- name: letters
-- Why deliveries of an event were given up, or the event before it had any; of those that nobody has replayed.
select l.destination, l.reason, l.detail
from capi_events c join dead_letters l on l.tenant_id = c.tenant_id and l.stage = 'dispatch' and l.replayed_at is null
    and l.capi_event_id = c.id and l.capi_created_at = c.created_at
where c.source_event = %(id)s and c.tenant_id = %(tenant)s
union all
select null, l.reason, l.detail from dead_letters l
where l.tenant_id = %(tenant)s and l.stage = 'match' and l.event_row = %(id)s and l.replayed_at is null
order by 1
limit 100

-- name: seen
-- When the buyer's e-mail and phone were last known of a browser, whether a browser had the sale's address, and when a
-- page of the funnel last told of a visit.
select (select max(i.last_seen_at) from identities i where i.tenant_id = %(tenant)s and i.email_hash = any(%(emails)s))
        as email_at,
    (select max(i.last_seen_at) from identities i where i.tenant_id = %(tenant)s and i.phone_hash = any(%(phones)s))
        as phone_at,
    exists (select from unnest(%(ips)s::text[]) as v (ip), lateral (
        select c.id from clicks c
        where (c.tenant_id || '|' || sinal_network(c.ip)) = (%(tenant)s || '|' || sinal_network(v.ip))
            and c.ip is not null and c.ts between %(ip_since)s - interval '7 days' and %(ip_until)s and c.last_seen_at >= %(ip_since)s
            limit 1) as c) as address_seen,
    (select max(s.last_at) from sightings s
        where s.tenant_id = %(tenant)s and s.funnel = %(funnel)s and s.integration = '') as page_at
