-- Figures over all tenants, for metrics.

-- name: coverage
-- One payload a conversion and Meta event, however many destinations have it: what Meta is told of each sale.
select c.tenant_id as tenant, count(*)::int as conversions,
    count(*) filter (where u ? 'em')::int as em, count(*) filter (where u ? 'ph')::int as ph,
    count(*) filter (where u ? 'fbc')::int as fbc, count(*) filter (where u ? 'fbp')::int as fbp,
    count(m.click_id)::int as click_id,
    count(*) filter (where u ?& array['client_ip_address', 'client_user_agent'])::int as ip_and_user_agent
from (
    select distinct on (tenant_id, source_event, event_name) tenant_id, conversion_id,
        case when payload_json is json object then payload_json::jsonb -> 'user_data' else '{}' end as u
    from capi_events
    where conversion_id is not null and created_at >= %(since)s
    order by tenant_id, source_event, event_name, id
) c
left join matches m on m.conversion_id = c.conversion_id and m.tenant_id = c.tenant_id
group by c.tenant_id order by c.tenant_id
