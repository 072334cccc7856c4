"""Errors of the spool: each means that nothing was promised."""

from __future__ import annotations


class SpoolError(Exception):
    """The spool did not take it."""


class SpoolFull(SpoolError):
    """No room: the spool's limit, the tenant's share of it, or the disk's floor is reached."""


class SpoolBroken(SpoolError):
    """The disk refused to write or to confirm."""


class SpoolLocked(SpoolError):
    """Another process works in the folder."""
