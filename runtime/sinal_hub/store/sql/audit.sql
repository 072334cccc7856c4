-- The audit trail of the operations API.

-- name: add_audit
insert into audit_log (tenant_id, actor, role, action, target, detail)
values (%(tenant)s, %(actor)s, %(role)s, %(action)s, %(target)s, %(detail)s::jsonb)

-- name: audit
select id, at, tenant_id, actor, role, action, target, detail::text as detail
from audit_log
where (%(tenant)s::text is null or tenant_id = %(tenant)s and at > coalesce(
        (select max(finished_at) from purges where tenant_id = %(tenant)s), '-infinity'))
    and (%(action)s::text is null or action = %(action)s)
    and (%(before)s::bigint is null or id < %(before)s)
order by id desc limit %(limit)s
