"""The phone that a person gives for a sample sale."""

from __future__ import annotations

import pytest

from sinal_cli.samples.send import NoDoor, SendOptions, filling_of


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("11987654321", "11987654321"),
        ("+55 (11) 98765-4321", "11987654321"),
        ("55987654321", "55987654321"),  # 55 is an area code, too
        ("+55 55 98765-4321", "55987654321"),
        ("1133334444", "1133334444"),
    ],
)
def test_an_area_code_is_not_taken_for_the_countrys(given: str, sent: str) -> None:
    assert filling_of(SendOptions("hotmart", phone=given), "HP1").phone == sent


@pytest.mark.parametrize("given", ["", "987654321", "+1 415 555 2671 99", "\u00b9\u00b9987654321"])
def test_what_is_not_a_number_with_its_area_code_is_refused(given: str) -> None:
    with pytest.raises(NoDoor, match="--phone"):
        filling_of(SendOptions("hotmart", phone=given), "HP1")
