"""Loads every `tests/support/fix_*.py`: real services and other fixtures that several folders share."""

from __future__ import annotations

from pathlib import Path

pytest_plugins = [f"tests.support.{path.stem}" for path in sorted((Path(__file__).parent / "support").glob("fix_*.py"))]
