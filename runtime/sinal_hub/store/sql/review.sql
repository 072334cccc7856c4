-- A person's word on matches that were held for review.

-- name: held
select e.id, e.tenant_id as tenant, e.conversion_id, e.outcome, e.reason, c.funnel
from events e join conversions c on c.id = e.conversion_id
where e.id = %(id)s and (%(tenant)s::text is null or e.tenant_id = %(tenant)s)

-- name: match_of
select decision, rule_applied as rule, explanation::text as explanation
from matches where conversion_id = %(conversion)s and tenant_id = %(tenant)s

-- name: drop_held
update events set outcome = 'withheld', reason = 'policy'
where tenant_id = %(tenant)s and conversion_id = %(conversion)s and outcome = 'withheld' and reason = 'review'
