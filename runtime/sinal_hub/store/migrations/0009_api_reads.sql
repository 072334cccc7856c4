-- The API's role only reads: what it changes for a tenant, it changes as the worker, after its own checks. With the right
-- to insert, a unique or a foreign key without the tenant would tell whether another tenant's row is there.
do $$
begin
    if exists (select from pg_roles where rolname = 'sinal_api') then
        revoke insert, update, delete on all tables in schema public from sinal_api;
    end if;
end $$;
