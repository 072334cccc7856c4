"""How one destination is asked: what its plan says, as data that every sender shares."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import msgspec

from sinal_core.aio.backoff import FULL, Backoff

OnDoubt = Literal["Retry", "Park"]

# of entries that the destination may still take
RETRY = Backoff(base_s=2.0, cap_s=900.0, jitter=FULL)
MOST_REFUSALS = 8  # of one entry alone, for a reason that the sender does not know


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one destination, as its plan is now.

    `identity` is all that decides how an answer comes about (address, token): where it changes, the
    destination is tried at once, and answers to the one of before say nothing of it.
    """

    identity: Hashable
    requests_per_second: float | None = None  # None leaves the pace to what the answers say
    most: int = 1  # entries of one request
    on_doubt: OnDoubt = "Retry"
    retry: Backoff = RETRY
    most_refusals: int = MOST_REFUSALS
    most_tries: int | None = None  # None: until the entry is too old

    def __repr__(self) -> str:
        """Without the identity, which may hold a token."""
        return f"Terms(most={self.most}, on_doubt={self.on_doubt!r})"
