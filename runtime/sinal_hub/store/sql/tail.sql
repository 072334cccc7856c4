-- What has come or changed lately, for the live tail. The cursor is (at, id); `since` also cuts the partitions.

-- name: clock
select clock_timestamp() as now

-- name: changes
select at, id from (
    select e.changed_at as at, e.id from events e
    where e.changed_at >= %(at)s and e.received_at >= %(at)s - interval '9 days'
        and (%(tenant)s::text is null or e.tenant_id = %(tenant)s)
    union all
    select c.settled_at as at, c.source_event as id from capi_events c
    where c.settled_at >= %(at)s and c.created_at >= %(at)s - interval '9 days'
        and (%(tenant)s::text is null or c.tenant_id = %(tenant)s)
) changes
where (at, id) > (%(at)s, %(id)s)
order by at, id limit %(limit)s
