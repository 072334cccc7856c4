"""What took how long, and what was lost: figures of a run, printed as one JSON object at its end."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator


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

    def __str__(self) -> str:
        return json.dumps({**self._figures, "all_tests_s": round(time.monotonic() - self._began, 1)}, indent=2)
