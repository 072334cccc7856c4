-- What an order's memory must hold to join what a gateway tells under several ids, and to know what is left of it.

-- `alias`: another id of an order, whose own stands in `order_key`. `trial`: a subscription that began with nothing to
-- pay; `order_key` is null until its first charge comes, and names that charge ever after.
create table order_names (
    tenant_id text not null,
    kind text not null check (kind in ('alias', 'trial')),
    name text not null,
    gateway text not null,
    order_key text,
    last_at timestamptz not null default now(),
    primary key (tenant_id, name, gateway, kind)
);
create index order_names_order on order_names (tenant_id, order_key) where order_key is not null;
create index order_names_last_at on order_names (last_at);

-- What has been given back of an order: `refunded_parts` is the sum of refunds that were told one by one,
-- `refunded_total` the greatest total that was told.
alter table conversions
    add column refunded_parts numeric(18, 2),
    add column refunded_total numeric(18, 2);

do $$
declare
    worker text := coalesce((select quote_ident(rolname) from pg_roles where rolname = 'sinal_worker'), 'current_user');
begin
    alter table order_names enable row level security;
    alter table order_names force row level security;
    execute 'create policy tenant on order_names using (tenant_id = current_setting(''sinal.tenant'', true)) '
        'with check (tenant_id = current_setting(''sinal.tenant'', true))';
    execute format('create policy worker on order_names to %s using (true) with check (true)', worker);
    if worker <> 'current_user' then
        grant select, insert, update, delete on order_names to sinal_worker;
        if not pg_has_role(current_user, 'sinal_worker', 'usage') then
            create policy owner on order_names to current_user using (true) with check (true);
        end if;
    end if;
    if exists (select from pg_roles where rolname = 'sinal_api') then
        grant select on order_names to sinal_api;
    end if;
end $$;
