"""What of the log comes to the terminal of `sinal up`: breakers when they turn, errors of ours once a minute."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from sinal_cli.local.bulletin import AGAIN_S, Headlines, Verb

BREAKER = {"event": "destination.breaker", "tenant": "loja", "destination": "pixel"}


class Terminal:
    """Headlines with a clock that is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Verb, str]] = []
        self.now = 0.0
        self._lines = Headlines(
            lambda verb, what: self.said.append((verb, what)), Path("sinal.log"), clock=lambda: self.now
        )

    def logs(self, message: Any, level: int = logging.WARNING) -> None:
        record = logging.LogRecord("sinal_runtime", level, "", 0, message, None, None)
        self._lines.handle(record)


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_a_breaker_is_told_when_it_opens_and_when_it_closes_and_not_at_each_try(terminal: Terminal) -> None:
    opened = BREAKER | {"state": "open", "why": "credential", "code": 190}
    for message in (opened, opened, BREAKER | {"state": "closed", "why": "delivered"}, opened):
        terminal.logs(message)
    assert [verb for verb, _ in terminal.said] == ["opened", "closed", "opened"]
    assert "Destination pixel of loja" in terminal.said[0][1]
    assert "credential, code 190" in terminal.said[0][1]


def test_a_breaker_that_was_never_told_to_be_open_is_not_told_to_close(terminal: Terminal) -> None:
    terminal.logs(BREAKER | {"state": "closed", "why": "delivered"})
    assert terminal.said == []


def test_an_error_of_ours_is_told_once_a_minute_with_the_file_to_look_at(terminal: Terminal) -> None:
    for _ in range(3):
        terminal.logs({"event": "match.failed"}, logging.ERROR)
    assert terminal.said == [("error", "match.failed: see sinal.log")]
    terminal.now = AGAIN_S
    terminal.logs({"event": "match.failed"}, logging.ERROR)
    assert len(terminal.said) == 2


def test_warnings_and_what_libraries_say_stay_in_the_file(terminal: Terminal) -> None:
    terminal.logs({"event": "bus.connection_lost"})
    terminal.logs("error connecting in 'pool-1'", logging.ERROR)
    assert terminal.said == []
