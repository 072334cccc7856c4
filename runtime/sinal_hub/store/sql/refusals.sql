-- Refused deliveries of the last hours. `in_a_row` is true where no delivery of the integration was taken since: what
-- housekeeping has seen, and what came in the minutes since it looked.

-- name: listed
select nullif(r.tenant_id, '') as tenant, nullif(r.integration, '') as integration, nullif(r.gateway, '') as gateway,
    r.reason, nullif(r.missing, '') as missing, array_remove(array_agg(distinct r.network), '') as networks,
    sum(r.deliveries)::bigint as deliveries, min(r.first_at) as first_at, max(r.last_at) as last_at,
    r.integration <> '' and not exists (
        select from sightings s where s.tenant_id = r.tenant_id and s.integration = r.integration
            and s.last_at >= max(r.last_at)
    ) and not exists (
        select from events e where e.tenant_id = r.tenant_id and e.integration = r.integration
            and e.received_at >= greatest(max(r.last_at), now() - interval '5 minutes')
    ) as in_a_row
from refusals r
where r.hour >= now() - make_interval(hours => %(hours)s)
    and (%(tenant)s::text is null or r.tenant_id = %(tenant)s)
    and (%(integration)s::text is null or r.integration = %(integration)s)
    and (%(gateway)s::text is null or r.gateway = %(gateway)s)
group by r.tenant_id, r.integration, r.gateway, r.reason, r.missing
order by max(r.last_at) desc, r.tenant_id, r.integration, r.gateway, r.reason, r.missing
limit %(limit)s

-- name: spooled
select count(*)::int as processes, coalesce(sum(records), 0)::bigint as records, coalesce(sum(bytes), 0)::bigint as bytes,
    min(oldest_at) as oldest_at
from spools where records > 0 and told_at > now() - interval '1 minute'
