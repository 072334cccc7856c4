-- `attempts` goes back when a try said nothing about the event, so that two claims may have the same number of them.
-- `fence` never does. A release that does not know it fences by `attempts` alone, as before.
alter table capi_events add column fence int not null default 0;
