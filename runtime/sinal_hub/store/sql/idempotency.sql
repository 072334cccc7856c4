-- Results by Idempotency-Key.

-- name: begin_operation
-- Whoever comes second with the same key waits here until the first has committed, and then gets no row.
insert into operations (actor, key, tenant_id, kind, request_sha256, state)
values (%(actor)s, %(key)s, %(tenant)s, %(kind)s, %(request)s, 'prepared')
on conflict (actor, key) do nothing
returning key

-- name: known_operation
select kind, request_sha256, state, letters, result::text as result
from operations where actor = %(actor)s and key = %(key)s

-- name: save_operation
update operations set state = %(state)s, letters = %(letters)s::bigint[], result = %(result)s::jsonb
where actor = %(actor)s and key = %(key)s

-- name: finish_operation
update operations set state = 'done' where actor = %(actor)s and key = %(key)s

-- name: forget_operations
delete from operations where (actor, key) in (
    select actor, key from operations where created_at < now() - interval '30 days' and state = 'done'
    order by created_at limit 100 for update skip locked)
