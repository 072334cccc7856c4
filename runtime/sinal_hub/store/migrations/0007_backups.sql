-- Backups that were made. Not of a tenant: nobody but the platform's own processes sees them.
create table backups (
    id bigint generated always as identity primary key,
    began_at timestamptz not null,
    bytes bigint not null,
    seconds float8 not null,
    checked boolean not null
);
create index backups_good on backups (began_at) where checked;

do $$
begin
    if exists (select from pg_roles where rolname = 'sinal_worker') then
        grant select on backups to sinal_worker;
    end if;
end $$;
