"""Tables at the widths that terminals have: no line is wider, no id is cut, and what is lost is
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.text import Text

from sinal_cli.client import doctor, events, quarantine, replays, reviews
from sinal_cli.client.show import EVENT_COLUMNS, event_row
from sinal_cli.client.table import Cell, Column, Table, folded, record
from sinal_cli.demo import report
from sinal_cli.kubectl import status

WIDTHS = (80, 120, 200)
NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
IDS = [f"ev_{letter * 26}" for letter in "abcd"]
ANSWER = (
    '{"error":{"message":"Invalid '
    'parameter","type":"OAuthException","code":100,"error_subcode":2804003}}'
)


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": IDS[number], "kind": "sale", "status": "approved", "tenant": "loja", "funnel": "curso",
        "order_id": f"HP1601547928102{number}", "value": "1497.00", "currency": "BRL",
        "received_at": (NOW + timedelta(seconds=number)).isoformat(),
        "match": {"decision": "match", "rule": "click_id", "score": 1.0, "click_id": f"click-{number}"},
        "outcome": {"state": "withheld", "reason": "no_destination"},
    } | changes  # fmt: skip


EVENTS = [
    event(0),
    event(1, kind="initiate_checkout", status=None, order_id=None, match=None),
    event(2, status="subscription_renewed", outcome={"state": "delivered", "reason": None}),
]
GROUP: dict[str, Any] = {
    "count": 12, "tenant": "loja", "stage": "dispatch", "reason": "rejected", "code": 100, "subcode": 2804003,
    "destination": "pixel-principal", "first_at": NOW.isoformat(), "last_at": NOW.isoformat(), "sample": IDS[:2],
    "detail": ANSWER,
}  # fmt: skip
KEPT: dict[str, Any] = {
    "received_at": NOW.isoformat(), "id": "01a22c54-f9ff-760f-81a6-35b04c0d53a9", "tenant": "loja",
    "integration": "hotmart-principal", "gateway": "hotmart", "sealed_bytes": 241,
    "reason": "`data` is missing or empty",
    "expires_at": (NOW + timedelta(days=30)).isoformat(),
}  # fmt: skip
ATTEMPT = (NOW, "400", "100", "2804003", "41 ms", ANSWER)
FINDING = (
    "[red]failed[/]",
    "destinations",
    "loja: pixel-principal",
    "its breaker is open: credential, code 190, since",
)
MEMBER: Any = {
    "kind": "Destination", "namespace": "shop", "name": "pixel-principal-da-agencia", "tenant": "loja", "ready": "True",
    "reason": "Delivering: TokenInvalid", "backlog": 12, "match_percent": None, "last_event": NOW.isoformat(),
    "breaker": "Open",
}  # fmt: skip
PLAYED: dict[str, Any] = {"step": "Hotmart: approved while Meta answers "
"500", "outcome": "delivered", "ok": True,
    "match": {"decision": "match", "rule": "click_id", "score": 1.0},
    "attempts": [{"http_status": 500, "code": 2}] * 6, "reason": None}  # fmt: skip

VIEWS: dict[str, tuple[Sequence[Column], list[Sequence[Cell]], list[str]]] = {
    "events": (EVENT_COLUMNS, [event_row(one) for one in EVENTS], [*IDS[:3], "HP16015479281020", "no_destination"]),
    "review": (reviews.COLUMNS, [reviews._row(one) for one in EVENTS if one["match"]], [IDS[0], "click-2"]),
    "letters": (replays.GROUPS, [replays._group_row(GROUP)] * 2, [IDS[0], "2804003", "pixel-principal", "Invalid p"]),
    "quarantine": (quarantine.COLUMNS, [quarantine._row(KEPT)], [KEPT["id"], "missing or empty"]),
    "attempts": (events.ATTEMPT, [ATTEMPT] * 2, ["400", "2804003", "Invalid parameter"]),
    "doctor": (doctor.COLUMNS, [FINDING] * 2, ["failed", "loja: pixel-principal", "credential"]),
    "status": (status.COLUMNS, [status._cells(MEMBER)[1:]] * 2, ["pixel-principal-da-agencia", "TokenInvalid"]),
    "demo": (report._COLUMNS, [report._cells(PLAYED)] * 2, ["Hotmart: approved while Meta", "500 code 2"]),
}  # fmt: skip


def lines(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> list[str]:
    return [line.plain for line in Table(columns, rows).lines(width)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_its_terminal_and_keeps_what_matters(view: str, width: int) -> None:
    columns, rows, kept = VIEWS[view]
    said = lines(columns, rows, width)
    assert max(map(len, said)) <= width
    together = " ".join(" ".join(said).split())
    assert all(word in together for word in kept)
    shown = [column.title for column in columns if column.title in together]
    lost = [column.title for column in columns if column.title not in together]
    assert shown and all(
        not any(row[columns.index(c)] for row in rows) for c in columns if c.title in lost
    )


def test_what_is_the_same_in_each_row_is_said_once_where_there_is_no_room_for_it() -> None:
    said = lines(EVENT_COLUMNS, [event_row(one) for one in EVENTS], 100)
    assert (
        said[-1].startswith("all: 21/09, ")
        and "tenant loja" in said[-1]
        and "funnel curso" in said[-1]
    )
    assert "21/09" in said[-1] and not any("21/09" in line for line in said[:-1])
    assert not any("loja" in line for line in said[:-1])
    roomy = lines(EVENT_COLUMNS, [event_row(one) for one in EVENTS], 200)
    assert sum("loja" in line and "21/09" in line for line in roomy) == len(EVENTS)


def test_what_gives_way_is_named() -> None:
    columns = (Column("id"), Column("note", gives=1))
    said = lines(columns, [(IDS[0], "x" * 60), (IDS[1], "y" * 60)], 80)
    assert said[-1].startswith("not shown: note")
    assert said[1:3] == IDS[:2]


def test_a_column_without_a_word_takes_no_room() -> None:
    assert lines((Column("id"), Column("code")), [(IDS[0], "")], 80) == ["id", IDS[0]]


@pytest.mark.parametrize("width", [10, 20, 40, 80])
def test_words_are_folded_between_them_and_ids_stay_whole(width: int) -> None:
    words = f"Meta answered {ANSWER} to {IDS[0]}: look at `sinal events show {IDS[0]}` now"
    folds = [line.plain for line in folded(Text(words), width)]
    assert "".join("".join(folds).split()) == "".join(words.split())
    assert all(len(line) <= width or " " not in line for line in folds)
    assert sum(IDS[0] in line for line in folds) == 2
    assert not any(line.startswith(" ") or line.endswith(" ") for line in folds)


def test_facts_stand_beneath_each_other_under_themselves() -> None:
    said = [
        line.plain for line in record([("id", Text(IDS[0])), ("reason", Text("word " * 40))], 60)
    ]
    assert said[0] == f"id      {IDS[0]}"
    assert len(said) > 2 and all(line.startswith(" " * 8 + "word") for line in said[2:])
    assert max(map(len, said)) <= 60
