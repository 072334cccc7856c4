"""The page of platforms says what is promised: every Python on every processor, and what has no
wheel there.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from requirements.install import WITHOUT_A_WHEEL, promised
from requirements.matrix import PROCESSORS

PAGE = (Path(__file__).parents[2] / "docs" / "operators" / "platforms.md").read_text()


def cells() -> dict[tuple[str, str], str]:
    """What the first table says, by Python and processor."""
    rows = [
        line.strip("| ").split(" | ")
        for line in PAGE.splitlines()
        if line.startswith("| Python 3.")
    ]
    return {
        (row[0].removeprefix("Python "), processor): said
        for row in rows
        for processor, said in zip(PROCESSORS, row[1:], strict=True)
    }


def test_every_promised_combination_is_in_the_table_and_says_run_or_checked() -> None:
    found = cells()
    assert found.keys() == set(product(promised(), PROCESSORS))
    assert all(said.startswith(("run", "checked")) for said in found.values())


def test_what_has_no_wheel_is_named_where_it_is_missing_and_nowhere_else() -> None:
    for (python, processor), said in cells().items():
        known = {
            package
            for lock, *where in WITHOUT_A_WHEEL
            if where == [processor, python]
            for package in [WITHOUT_A_WHEEL[lock, processor, python]]
        }
        assert ("has no wheel" in said) == bool(known), (python, processor)
        assert all(f"`{package}`" in said for package in known)
