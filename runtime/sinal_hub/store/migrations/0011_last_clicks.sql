-- What matching needs to find a visitor by a damaged id and by a network, and to know when a visit began.

-- `ts` is where a row lies and can't change; a visit's first event may arrive after its second.
alter table clicks add column first_at timestamptz;

-- One index for ids as they are, in another case, or cut short: bytes sort as prefixes need it whatever the database's
-- own collation.
drop index clicks_by_click_id;
create index clicks_by_click_id on clicks (((tenant_id || '|' || lower(click_id)) collate "C"), ts);

-- A telephone's IPv6 address changes within its /64 by itself. The pattern keeps what is no address away from the cast.
create function sinal_network(address text) returns text language sql immutable parallel safe as $$
    select case
        when position(':' in address) = 0 then address
        when address ~ '^[0-9a-f:]+$' then host(network(set_masklen(address::inet, 64)))
        else address end
$$;
drop index clicks_by_ip;
create index clicks_by_ip on clicks ((tenant_id || '|' || sinal_network(ip)), ts desc) where ip is not null;

-- An order is found again by the beginning of an id, so that a damaged one finds its click too.
insert into open_orders (tenant_id, key, conversion_id, last_at)
select tenant_id, 'click:' || left(lower(substr(key, 7)), 10), conversion_id, max(last_at) from open_orders
where key like 'click:%' group by 1, 2, 3
on conflict (tenant_id, key, conversion_id) do nothing;
delete from open_orders where key like 'click:%' and key <> 'click:' || left(lower(substr(key, 7)), 10);
