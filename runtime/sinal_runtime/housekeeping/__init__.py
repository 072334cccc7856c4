"""Leases, sweepers, retention, rollups, re-match."""
