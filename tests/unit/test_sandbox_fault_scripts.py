"""Fault scripts: which request gets which fault, and errors that name the field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sinal_sandbox.faults import FaultBoard, InvalidScript, parse


class Board:
    """A script under a clock of its own."""

    def __init__(self, *faults: dict[str, Any]) -> None:
        self.now = 100.0
        self.board = FaultBoard(clock=lambda: self.now)
        self.post(*faults)

    def post(self, *faults: dict[str, Any], append: bool = False) -> None:
        self.board.post(parse(msgspec.json.encode({"faults": faults, "append": append})))

    def request(
        self, pixel: str = "1", event_id: str = "e", event_name: str = "Purchase"
    ) -> str | None:
        events: list[object] = [{"event_name": event_name, "event_id": event_id}, None]
        fault = self.board.choose(pixel, events)
        return None if fault is None else fault.kind


def test_the_first_fault_that_applies_wins() -> None:
    board = Board({"kind": "hang", "pixel": "2"}, {"kind": "reset", "times": 1}, {"kind": "html"})
    assert [board.request("1"), board.request("1"), board.request("2")] == ["reset", "html", "hang"]


def test_after_and_times_count_matching_requests() -> None:
    board = Board({"kind": "status_500", "after": 2, "times": 2, "pixel": "1"})
    assert board.request("9") is None
    assert [board.request() for _ in range(6)] == [
        None,
        None,
        "status_500",
        "status_500",
        None,
        None,
    ]


def test_a_window_opens_and_closes() -> None:
    board = Board({"kind": "throttle", "start_in_s": 10, "for_s": 5})
    seen = []
    for now in (109.9, 110.0, 114.9, 115.0):
        board.now = now
        seen.append(board.request())
    assert seen == [None, "throttle", "throttle", None]


def test_a_poisoned_event_is_found_in_its_batch() -> None:
    board = Board({"kind": "error", "event_id": "bad"}, {"kind": "reset", "event_name": "Lead"})
    assert board.request(event_id="good") is None
    assert board.request(event_id="bad") == "error"
    assert board.request(event_name="Lead") == "reset"


def test_chance_repeats_with_its_seed() -> None:
    def run(seed: int) -> list[str | None]:
        board = Board({"kind": "reset", "probability": 0.3, "seed": seed})
        return [board.request() for _ in range(1_000)]

    assert run(1) == run(1) != run(2)
    assert 240 < run(1).count("reset") < 360


def test_a_script_replaces_the_one_before_unless_it_is_appended() -> None:
    board = Board({"kind": "reset"})
    board.post({"kind": "hang"})
    assert board.request() == "hang"
    board.post({"kind": "html", "pixel": "2"}, append=True)
    assert [fault["kind"] for fault in board.board.state()] == ["hang", "html"]


def test_the_state_shows_what_was_applied() -> None:
    board = Board({"kind": "auth", "after": 1, "times": 1})
    for _ in range(3):
        board.request()
    [state] = board.board.state()
    assert (state["kind"], state["matched"], state["applied"], state["in_force"]) == (
        "auth",
        2,
        1,
        False,
    )


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"kind": "status_500"}, (500, 2, None, True)),
        ({"kind": "throttle"}, (429, 4, None, True)),
        ({"kind": "throttle", "code": 80004, "status": 400}, (400, 80004, None, True)),
        ({"kind": "throttle", "code": 17, "subcode": 2446079}, (429, 17, 2446079, True)),
        ({"kind": "auth"}, (401, 190, 460, False)),
        ({"kind": "auth", "subcode": 463, "status": 400}, (400, 190, 463, False)),
        ({"kind": "auth", "code": 102}, (401, 102, None, False)),
        ({"kind": "permission"}, (403, 200, None, False)),
        ({"kind": "error", "code": 100, "subcode": 2804007}, (400, 100, 2804007, False)),
    ],
)
def test_errors_have_metas_codes(fault: dict[str, Any], answer: tuple[Any, ...]) -> None:
    error = parse(msgspec.json.encode({"faults": [fault]})).faults[0].error()
    assert (error.status, error.code, error.subcode, error.transient) == answer


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "body"),
        (b"{", "body"),
        (b"{}", "body"),
        (b'{"fault": []}', "fault"),
        (b'{"faults": [{"kind": "explode"}]}', "faults[0].kind"),
        (b'{"faults": [{"kind": "hang"}, {"kind": "hang", "times": -1}]}', "faults[1].times"),
        (b'{"faults": [{"kind": "hang", "time": 1}]}', "faults[0].time"),
        (b'{"faults": [{"kind": "hang", "probability": 1.5}]}', "faults[0].probability"),
        (b'{"faults": [{"kind": "hang", "pixel": 123}]}', "faults[0].pixel"),
        (b'{"faults": [{"kind": "hang", "delay_ms": "1s"}]}', "faults[0].delay_ms"),
        (b'{"faults": [{"kind": "latency", "accepted": false}]}', "faults[0].accepted"),
    ],
)
def test_a_bad_script_names_its_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidScript) as invalid:
        parse(body)
    assert invalid.value.field == field
    assert field in str(invalid.value)
