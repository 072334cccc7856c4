"""Addresses that a person gives to `sinal up`: of the Graph API, and of ingest as the world reaches
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


class BadUrl(ValueError):
    """An address that can't be meant; the message names the option."""


@dataclass(frozen=True)
class Outside:
    """What is reached beyond this machine; None stands for what `sinal up` has itself."""

    graph_url: str | None = None  # without it the sandbox stands in for Meta
    public_url: str | None = None  # without it ingest's own address

    @classmethod
    def read(cls, *, graph_url: str | None, public_url: str | None) -> Outside:
        """Check what was given; raises BadUrl."""
        return cls(_base("--graph-url", graph_url), _base("--public-url", public_url))


def _base(option: str, given: str | None) -> str | None:
    if given is None:
        return None
    try:
        parts = urlsplit(given)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise BadUrl(f"{option} {given}: must be an address such as https://track.example.com")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise BadUrl(f"{option} {given}: must end after the host; paths are Sinal's own")
    return given.rstrip("/")
