"""Read-back: the call to a gateway's API that some deliveries need, since they carry ids and no
sale.

Adapters describe the call and read its answer; they never make it. The description holds names of
credentials, never their values, so that it may travel in a message. The host is a constant of the
adapter and never comes from a delivery; whatever of a delivery goes into the path has been checked
by the adapter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from sinal_hub.model.sale import Sale

_NAME = re.compile(r"\{(\w+)\}", re.ASCII)


class MissingCredential(KeyError):
    """The credentials Secret lacks a key that the call needs; the argument is the key."""


class ReadBack(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One GET below the gateway's host.

    Values of `headers` and `query` name credentials as `{key}`.
    """

    path: str
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    # The notice's own key, of what its signature covers; None: the adapter's key, of a body that is
    # proven as a whole.
    notice: str | None = None

    def filled(self, credentials: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Headers and query with the credentials in their places; raises MissingCredential."""
        headers, query = (
            {
                name: _NAME.sub(lambda found: _newest(credentials, found[1]), text)
                for name, text in part.items()
            }
            for part in (self.headers, self.query)
        )
        return headers, query


@runtime_checkable
class ReadsBack(Protocol):
    """What a gateway module offers besides, when its deliveries point at a sale instead of telling
    it.
    """

    NAME: str
    READBACK_URL: str  # scheme and host of the API
    READBACK_KEYS: tuple[str, ...]  # keys of the credentials Secret that the call needs

    def readback(
        self, raw: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> ReadBack | None:
        """The call that tells what a verified delivery is about.

        None when it says all itself, or nothing.
        """
        ...

    def parse_readback(
        self, raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
    ) -> list[Sale]:
        """Sales of the API's answer; raises NotThisGateway for what is none."""
        ...


def _newest(credentials: Mapping[str, str], key: str) -> str:
    """The last line of a credential: while one is replaced, the new one stands below the old."""
    lines = [line.strip() for line in credentials.get(key, "").splitlines() if line.strip()]
    if not lines:
        raise MissingCredential(key)
    return lines[-1]
