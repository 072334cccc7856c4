"""How often a route is put right that somebody spoils again and again.

Pure, but for the clock that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sinal_core.aio.backoff import NONE, Backoff

FREE = 3  # so many repairs in a row come at once: a person tries things
PAUSE = Backoff(base_s=2.0, cap_s=60.0, jitter=NONE)
FORGIVEN_S = 300.0

Key = tuple[str, str, str]


@dataclass
class _Record:
    mark: str
    count: int
    at: float


class Patience:
    """Repairs of each route as it is wanted; another wish begins anew."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[Key, _Record] = {}

    def wait_s(self, key: Key, mark: str) -> float:
        """Seconds until the route may be written again."""
        record = self._records.get(key)
        if record is None or record.mark != mark or record.count <= FREE:
            return 0.0
        return max(0.0, record.at + PAUSE.full_s(record.count - FREE) - self._clock())

    def wrote(self, key: Key, mark: str) -> None:
        """Note that it was written."""
        record, now = self._records.get(key), self._clock()
        lasting = record is not None and record.mark == mark and now - record.at < FORGIVEN_S
        self._records[key] = _Record(
            mark, record.count + 1 if record is not None and lasting else 1, now
        )

    def keep(self, keys: set[Key]) -> None:
        """Forget all others."""
        self._records = {key: record for key, record in self._records.items() if key in keys}
