"""Generated pages are what the code says: after a change run `make docs`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinal_cli import reference

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "name", ["operators/settings.md", "operators/manifests.md", "users/openapi.json"]
)
def test_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == reference.pages()[name], "run `make docs`"


def test_every_setting_says_what_it_means() -> None:
    for line in reference.settings_page().splitlines():
        if line.startswith("| `SINAL_"):
            assert not line.endswith("| None |"), line
