"""Backup and restore of what a platform keeps: one archive, made while it runs, tried by restoring
it.

docs/operators/backup.md has the reasoning; `making` holds the sequence that it stands on.
"""
