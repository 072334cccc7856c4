"""Connections, transactions and errors of PostgreSQL; statements live in the products' stores."""
