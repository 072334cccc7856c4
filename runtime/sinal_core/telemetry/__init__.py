"""Logs, metrics and traces, and what must never stand in them."""
