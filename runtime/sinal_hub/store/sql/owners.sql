-- Whose a slug's rows are: `owner` (a Tenant's UID) or `home` (its namespace and name) has them, a `claimant` waits.

-- name: claim
-- Rows that nobody owns go to whoever comes first. Changes nothing where nothing is new.
insert into tenants as t (id, name, owner, home)
select r.id, r.name, r.uid, r.home
from json_to_recordset(%(plans)s::json) as r (id text, name text, uid text, home text)
order by r.id
on conflict (id) do update set
    owner = coalesce(t.owner, excluded.owner),
    home = coalesce(t.home, excluded.home),
    claimant = case when t.owner is not null and t.owner <> excluded.owner and t.home <> excluded.home
        then excluded.owner end,
    claimant_home = case when t.owner is not null and t.owner <> excluded.owner and t.home <> excluded.home
        then excluded.home end
    where t.owner is null or t.claimant is distinct from
        case when t.owner <> excluded.owner and t.home <> excluded.home then excluded.owner end

-- name: inherit
-- Of the Tenant whose place it takes: the same rows and keys, under another name.
update tenants t set home = r.home, claimant = null, claimant_home = null, updated_at = now()
from json_to_recordset(%(plans)s::json) as r (id text, home text, legacy text)
where t.id = r.id and t.home = r.legacy

-- name: adopt_keys
-- Keys that were made before their tenant was seen, or before keys had owners.
update api_keys k set owner = t.owner from tenants t
where k.owner is null and t.id = k.tenant_id and t.id = any(%(slugs)s::text[]) and t.owner is not null

-- name: standing
select id, owner, home, claimant, claimant_home from tenants where id = any(%(slugs)s::text[]) and claimant is not null

-- name: hand_over
-- To whoever waits for it; keys of the owner before are good no more.
update tenants t set owner = t.claimant, home = t.claimant_home, claimant = null, claimant_home = null,
    updated_at = now()
from tenants was
where t.id = %(slug)s and was.id = t.id and t.claimant is not null
returning was.home as from_home, t.home as to_home, was.owner as from_owner, t.owner as to_owner

-- name: begin_purge
insert into purges (id, tenant_id, owner, home, requested_at)
values (%(id)s, %(slug)s, %(uid)s, %(home)s, %(at)s)
on conflict (id) do nothing

-- name: is_theirs
select not exists (
    select from tenants where id = %(slug)s and owner is not null and owner <> %(uid)s and home <> %(home)s) as theirs

-- name: count_purged
update purges p set counts = p.counts || (
    select jsonb_object_agg(n.key, n.value::bigint + coalesce((p.counts ->> n.key)::bigint, 0))
    from jsonb_each_text(%(rows)s::jsonb) as n)
where p.id = %(id)s

-- name: remove_tenant
delete from tenants where id = %(slug)s

-- name: finish_purge
-- After the moment of every line in the audit log until now, its own among them.
update purges set finished_at = clock_timestamp() where id = %(id)s and finished_at is null returning counts::text as counts
