"""PostgreSQL, the system of record: migrations, connections and every SQL statement of the runtime.

Statements live in `sql/*.sql` and are called by the modules here; other rooms see typed functions
and rows only.
"""
