"""A refused delivery, as it is counted and told."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """One refused delivery; names are empty where it has none that is known."""

    reason: str
    tenant: str = ""
    integration: str = ""
    gateway: str = ""
    missing: str = ""  # header or query parameter that should prove it and was not there
    network: str = ""
