"""Settings of one emulator: what it accepts and how much it remembers.

Frozen and handed down; the command line (`__main__`) is the only place that makes one from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ExpiredVersion = Literal["refuse", "upgrade"]
MessagingEvents = Literal["documented", "live"]


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """Everything the emulator needs to know.

    The defaults take any token and any pixel of digits.
    """

    tokens: frozenset[str] = frozenset()  # empty: any non-empty token that is not revoked
    revoked: frozenset[str] = frozenset()  # answered with 190/460
    pixels: frozenset[str] = frozenset()  # empty: any digits
    keep: int = 200_000  # events that stay queryable
    keep_bytes: int = 512 << 20  # the same bound for the JSON of these events
    keep_requests: int = 20_000  # lines of the request log
    max_body_bytes: int = 32 << 20  # one request
    # Meta does either: error 2635, or an upgrade with a warning header
    expired_version: ExpiredVersion = "refuse"
    # 14 names in the documentation, 4 seen to work live
    messaging_events: MessagingEvents = "documented"
    data_file: Path | None = None  # journal of accepted events; None keeps them in memory only

    def __post_init__(self) -> None:
        for name in ("keep", "keep_bytes", "keep_requests", "max_body_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
