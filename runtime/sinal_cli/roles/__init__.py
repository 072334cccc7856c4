"""Roles of the platform: what each is made of.

A role starts and stops as a whole; its parts are wired here only.
"""

from __future__ import annotations

from collections.abc import Callable

from sinal_cli.roles.api import Api
from sinal_cli.roles.base import Role, reserved_hosts
from sinal_cli.roles.dispatch import Dispatch
from sinal_cli.roles.housekeeping import Housekeeping
from sinal_cli.roles.ingest import Ingest
from sinal_cli.roles.match import Match
from sinal_core.settings import Settings
from sinal_crds.keyring import Keyring

DATA_PLANE: dict[str, Callable[[Settings, Keyring], Role]] = {
    "ingest": Ingest,
    "match": Match,
    "dispatch": Dispatch,
    "api": Api,
    "housekeeping": Housekeeping,
}

__all__ = [
    "DATA_PLANE",
    "Api",
    "Dispatch",
    "Housekeeping",
    "Ingest",
    "Match",
    "Role",
    "reserved_hosts",
]
