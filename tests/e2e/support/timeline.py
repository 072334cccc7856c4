"""What took how long, and what was lost: figures of a run, printed as one JSON object at its
end.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.support.shop import Arrived
    from tests.e2e.support.traffic import Traffic


class Timeline:
    """Figures by name; seconds are rounded to a tenth."""

    def __init__(self) -> None:
        self._figures: dict[str, float | int | str] = {}
        self._began = time.monotonic()

    def note(self, name: str, value: float | int | str) -> None:
        """Keep a figure."""
        self._figures[name] = round(value, 1) if isinstance(value, float) else value

    @contextlib.contextmanager
    def seconds(self, name: str) -> Iterator[None]:
        """Keep how long the block took, if it came to its end."""
        began = time.monotonic()
        yield
        self.note(name, time.monotonic() - began)

    def count(self, what: str, traffic: Traffic, arrived: Arrived) -> None:
        """Keep how many events a disturbance met, and what they met with.

        `arrived` is proven, so none is lost.
        """
        self.note(f"{what}_sales", len(traffic.accepted))
        self.note(f"{what}_lost", sum(map(len, arrived.missing.values())))
        self.note(f"{what}_repeated_at_meta_under_one_id", arrived.repeated)
        why = ", ".join(f"{times} {answer}" for answer, times in traffic.refused.most_common())
        self.note(f"{what}_answers_tried_again", why or 0)

    def __str__(self) -> str:
        return json.dumps(
            {**self._figures, "all_tests_s": round(time.monotonic() - self._began, 1)}, indent=2
        )
