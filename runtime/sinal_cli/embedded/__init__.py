"""Real services as child processes: PostgreSQL, NATS and Redis from wheels, for a laptop and for
tests.

Each is bound to 127.0.0.1 on a free port, protected by a generated password, keeps its files under
one data folder, and ends with its parent, even when that is killed.
"""
