-- Keys of the operations API.

-- name: key_by_hash
-- A tenant's key is good while the Tenant that it was made for has the slug; that its plan is away ends no key.
select k.id, k.tenant_id, k.role, k.name, k.last_used_at is null or k.last_used_at < now() - interval '1 minute' as stale
from api_keys k left join tenants t on t.id = k.tenant_id
where k.key_sha256 = %(hash)s and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
    and (k.tenant_id is null or (k.owner is not distinct from t.owner and t.claimant is null))

-- name: key_used
update api_keys set last_used_at = now() where id = %(id)s

-- name: add_key
-- No row where the slug is wanted by a Tenant whose the rows are not.
insert into api_keys (id, tenant_id, role, name, key_sha256, created_by, expires_at, owner)
select %(id)s, %(tenant)s, %(role)s, %(name)s, %(hash)s, %(actor)s, %(expires_at)s,
    (select owner from tenants where id = %(tenant)s)
where not exists (select from tenants where id = %(tenant)s and claimant is not null)
returning id, tenant_id, role, name, created_at, created_by, expires_at, last_used_at, revoked_at

-- name: keys
select id, tenant_id, role, name, created_at, created_by, expires_at, last_used_at, revoked_at
from api_keys
where (%(tenant)s::text is null or tenant_id = %(tenant)s)
    and (%(before_at)s::timestamptz is null or (created_at, id) < (%(before_at)s, %(before_id)s))
order by created_at desc, id desc limit %(limit)s

-- name: ownerless_keys
-- Of tenants that are gone with their rows, or whose slug another Tenant has: they open nothing.
select k.id, k.tenant_id, k.role, k.name, k.created_at, k.created_by, k.expires_at, k.last_used_at, k.revoked_at
from api_keys k left join tenants t on t.id = k.tenant_id
where k.tenant_id is not null and k.revoked_at is null and k.owner is not null
    and k.owner is distinct from t.owner
order by k.created_at limit %(limit)s

-- name: revoke_key
update api_keys set revoked_at = coalesce(revoked_at, now())
where id = %(id)s and (%(tenant)s::text is null or tenant_id = %(tenant)s)
returning id, tenant_id, role, name, created_at, created_by, expires_at, last_used_at, revoked_at
