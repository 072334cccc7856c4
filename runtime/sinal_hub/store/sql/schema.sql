-- The database as a whole.

-- name: schema
-- A standby and a server set to read only answer every question and take no write.
select coalesce(max(version), 0)::int as version, clock_timestamp() as now,
    not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' as writable
from schema_migrations
