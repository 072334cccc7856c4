"""One table for people, one JSON object for programs."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Options that every bench has."""
    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument(
        "--json", type=Path, metavar="FILE", help="write the result there as one JSON object"
    )
    return made


def table(rows: Sequence[Row]) -> None:
    """Print rows with the same keys under one heading."""
    names = list(rows[0])
    texts = [[_text(row[name]) for name in names] for row in rows]
    widths = [
        max(len(name), *(len(line[place]) for line in texts)) for place, name in enumerate(names)
    ]
    for line in (names, *texts):
        first, *others = (cell.ljust(width) if place == 0 else cell.rjust(width)
                          for place, (cell, width) in enumerate(zip(line, widths, strict=True)))  # fmt: skip
        print("  ".join([first, *others]), flush=True)


def goal(what: str, measured: float, bound: float, *, at_least: bool) -> Row:
    """One promise beside what was measured."""
    kept = measured >= bound if at_least else measured <= bound
    return {
        "goal": what,
        "measured": measured,
        "bound": f"{'>=' if at_least else '<='} {bound:g}",
        "kept": kept,
    }


def finish(name: str, goals: Sequence[Row], more: Mapping[str, Any], path: Path | None) -> None:
    """Print the goals; write everything where asked."""
    print()
    table(goals)
    if path is not None:
        result = {
            "bench": name,
            "cores": os.cpu_count(),
            "python": sys.version,
            "goals": list(goals),
            **more,
        }
        path.write_text(json.dumps(_plain(result), indent=1) + "\n")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Without numbers that JSON has no word for."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
