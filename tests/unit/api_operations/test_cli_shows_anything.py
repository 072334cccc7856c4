"""What anybody may send stands in an operator's terminal as it is, whole and without effect."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from sinal_cli.client.events import show
from sinal_cli.client.explain import explain
from sinal_cli.client.show import EVENT_COLUMNS, Output, event_row
from sinal_cli.client.table import Column

EVENT: dict[str, Any] = {
    "id": "ev_6saakkwsy22u5bnqcuoc6zbwa4", "event_id": "e", "kind": "sale", "status": "approved", "tenant": "loja",
    "funnel": "curso", "gateway": "hotmart", "order_id": "HP1", "value": "297.00", "currency": "BRL",
    "occurred_at": "2026-09-21T12:00:00Z", "received_at": "2026-09-21T12:00:00Z", "match": None, "deliveries": [],
    "outcome": {"state": "withheld", "reason": "no_destination"},
}  # fmt: skip


class Told:
    """An API that tells of one event."""

    def __init__(self, **changes: Any) -> None:
        self.event = EVENT | changes

    def pages(self, *_: object, **__: object) -> list[dict[str, Any]]:
        """A list of it."""
        return [self.event]

    def get(self, *_: object) -> dict[str, Any]:
        """Its detail."""
        return self.event


def terminal(width: int = 80) -> Output:
    """Output as on a terminal of this width."""
    out = Output(as_json=False)
    out.lines, out.console = False, Console(highlight=False, width=width)
    return out


@pytest.mark.parametrize(
    "order", [r"\[/x]", "[/]", "[bold]x", "a\x1b[31mb\x1b]0;pwned\x07", "\u202egnp", "é 🎉", "x\\"]
)
def test_an_order_s_number_is_no_markup_and_commands_no_terminal(
    order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told: Any = Told(order_id=order, currency="[/]")
    terminal(200).items([told.event], EVENT_COLUMNS, event_row, empty="")
    assert show(told, terminal(200), event_id="ev_1") == 0
    assert explain(told, terminal(200), order=order, tenant=None, as_json=False) == 0
    said = capsys.readouterr().out
    assert said.count("297.00 [/]") == 3
    assert all(char.isprintable() or char == "\n" for char in said)
    assert said.count("".join(char if char.isprintable() else " " for char in order).strip()) >= 3


@pytest.mark.parametrize("width", [20, 80, 300])
def test_an_id_is_whole_on_any_terminal(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    event = EVENT | {"order_id": "HP" + "0" * 40}
    terminal(width).items([event], EVENT_COLUMNS, event_row, empty="")
    said = capsys.readouterr().out
    assert (
        EVENT["id"] in said
        and event["order_id"] in said
        and "withheld no_destination" in " ".join(said.split())
    )


def test_a_long_last_column_is_folded_into_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal(80).table((Column("area"), Column("found", prose=True)), [("services", "word " * 60)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
