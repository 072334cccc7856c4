"""SQL files, migrations, roles, row-level security, partitions. No SQL leaves this room."""
