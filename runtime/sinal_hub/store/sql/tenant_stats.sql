-- Figures of one tenant over a window that ends now.

-- name: outcomes
select s.kind, s.state, s.reason, count(*)::int as events
from (
    select e.kind,
        case
            when e.outcome = 'waiting' or a.flying then 'in_flight'
            when e.outcome <> 'sent' then e.outcome
            when a.dead then 'dead'
            when a.delivered then 'delivered'
            when a.delivered is null then 'in_flight'
            else 'withheld' end as state,
        case
            when e.outcome = 'waiting' or a.flying then null
            when e.outcome <> 'sent' then e.reason
            when a.dead then a.dead_reason
            when a.delivered then null
            else a.withheld_reason end as reason
    from events e
    left join (
        select source_event, bool_or(status in ('pending', 'sending')) as flying, bool_or(status = 'dead') as dead,
            bool_or(status = 'delivered') as delivered, min(reason) filter (where status = 'dead') as dead_reason,
            min(reason) filter (where status = 'withheld') as withheld_reason
        from capi_events
        where tenant_id = %(tenant)s and created_at >= now() - make_interval(secs => %(window_s)s) - interval '1 day'
        group by source_event
    ) a on a.source_event = e.id and e.outcome = 'sent'
    where e.tenant_id = %(tenant)s and e.received_at >= now() - make_interval(secs => %(window_s)s)
) s
group by s.kind, s.state, s.reason
order by s.kind, s.state, s.reason

-- name: decisions
select m.decision, count(*)::int as sales
from conversions c join matches m on m.conversion_id = c.id and m.tenant_id = c.tenant_id
where c.tenant_id = %(tenant)s and c.created_at >= now() - make_interval(secs => %(window_s)s)
group by m.decision

-- name: latency
select percentile_cont(0.5) within group (order by s) as p50, percentile_cont(0.95) within group (order by s) as p95,
    count(*)::int as deliveries
from (
    select extract(epoch from settled_at - received_at)::float8 as s from capi_events
    where tenant_id = %(tenant)s and status = 'delivered' and generation = 0
        and created_at >= now() - make_interval(secs => %(window_s)s)
) t

-- name: destinations
select destination, status as state, count(*)::int as events, max(settled_at) as last_settled_at
from capi_events
where tenant_id = %(tenant)s and created_at >= now() - make_interval(secs => %(window_s)s)
group by destination, status order by destination, status

-- name: last_event
select max(received_at) as at from events where tenant_id = %(tenant)s

-- name: coverage
-- One payload a Meta event, however many destinations have it.
select event_name, count(*)::int as conversions,
    count(*) filter (where u ? 'em')::int as em, count(*) filter (where u ? 'ph')::int as ph,
    count(*) filter (where u ? 'fn')::int as fn, count(*) filter (where u ? 'ln')::int as ln,
    count(*) filter (where u ? 'ct')::int as ct, count(*) filter (where u ? 'st')::int as st,
    count(*) filter (where u ? 'zp')::int as zp, count(*) filter (where u ? 'country')::int as country,
    count(*) filter (where u ? 'external_id')::int as external_id, count(*) filter (where u ? 'fbc')::int as fbc,
    count(*) filter (where u ? 'fbp')::int as fbp,
    count(*) filter (where u ?& array['client_ip_address', 'client_user_agent'])::int as ip_and_user_agent
from (
    select distinct on (source_event, event_name) event_name,
        case when payload_json is json object then payload_json::jsonb -> 'user_data' else '{}' end as u
    from capi_events
    where tenant_id = %(tenant)s and conversion_id is not null
        and created_at >= now() - make_interval(secs => %(window_s)s)
    order by source_event, event_name, id
) c
group by event_name order by event_name

-- name: pairing
-- The edge gives an event whose sender named none its own id.
select kind, source, count(*)::int as events, count(*) filter (where body ->> 'event_id' <> id)::int as paired
from events
where tenant_id = %(tenant)s and outcome = 'sent' and received_at >= now() - make_interval(secs => %(window_s)s)
group by kind, source order by kind, source
