"""The charts of the version before, as they were packaged; see tests/e2e/previous/README.md."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "e2e" / "previous"
VALUES = sorted((FOLDER / "values").glob("*.yaml"))


def chart(name: str) -> Path:
    """The one package of a chart."""
    (found,) = FOLDER.glob(f"{name}-[0-9]*.tgz")
    return found
