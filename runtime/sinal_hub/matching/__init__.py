"""Joins sales with the clicks they came from, and decides what goes to Meta.

Pure: `signals`, `evidence`, `scoring`, `decision`, `orders`, `values`, `visits`. The `worker` runs
them over PostgreSQL.
"""
