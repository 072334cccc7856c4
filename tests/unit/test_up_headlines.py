"""What of the log comes to the terminal of `sinal up`: breakers when they turn, errors of ours once
a minute.
"""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sinal_cli.local.bulletin import AGAIN_S, REFUSED_AGAIN_S, Bulletin, Headlines, Verb

REFUSED = {
    "event": "webhook.refused",
    "tenant": "loja",
    "integration": "hotmart",
    "gateway": "hotmart",
    "reason": "proof_wrong",
    "missing": None,
    "sender": "203.0.113.0/24",
    "unsaid_before": 0,
}
QUARANTINED = {
    "event": "webhook.quarantined",
    "tenant": "loja",
    "gateway": "hotmart",
    "id": "0",
    "reason": "`data`",
}
BREAKER = {"event": "destination.breaker", "tenant": "loja", "destination": "pixel"}


class Terminal:
    """Headlines with a clock that is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Verb, str]] = []
        self.now = 0.0
        self._lines = Headlines(
            lambda verb, what: self.said.append((verb, what)),
            Path("sinal.log"),
            clock=lambda: self.now,
        )

    def logs(self, message: Any, level: int = logging.WARNING) -> None:
        record = logging.LogRecord("sinal_hub", level, "", 0, message, None, None)
        self._lines.handle(record)


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_a_breaker_is_told_when_it_opens_and_when_it_closes_and_not_at_each_try(
    terminal: Terminal,
) -> None:
    opened = BREAKER | {"state": "open", "why": "credential", "code": 190}
    for message in (opened, opened, BREAKER | {"state": "closed", "why": "delivered"}, opened):
        terminal.logs(message)
    assert [verb for verb, _ in terminal.said] == ["opened", "closed", "opened"]
    assert "Destination pixel of loja" in terminal.said[0][1]
    assert "credential, code 190" in terminal.said[0][1]


def test_a_breaker_that_was_never_told_to_be_open_is_not_told_to_close(terminal: Terminal) -> None:
    terminal.logs(BREAKER | {"state": "closed", "why": "delivered"})
    assert terminal.said == []


def test_an_error_of_ours_is_told_once_a_minute_with_the_file_to_look_at(
    terminal: Terminal,
) -> None:
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


def test_refused_webhooks_are_told_once_an_hour_for_each_reason_of_an_integration(
    terminal: Terminal,
) -> None:
    kinds = (
        REFUSED,
        REFUSED | {"reason": "no_credentials"},
        REFUSED | {"integration": "kiwify", "gateway": "kiwify"},
    )
    stranger = {"event": "webhook.refused", "gateway": "\x1b[31mno\none", "reason": "unknown_url"}
    for _ in range(26):
        for message in (*kinds, stranger, stranger | {"tenant": "loja"}):
            terminal.logs(message)
    assert [verb for verb, _ in terminal.said] == ["refused"] * 4
    assert (
        "hotmart to loja/hotmart\nits proof does not fit the integration's secret"
        in terminal.said[0][1]
    )
    assert "has no value" in terminal.said[1][1] and "kiwify to loja/kiwify" in terminal.said[2][1]
    assert (
        "no integration has this URL" in terminal.said[3][1] and "\x1b" not in terminal.said[3][1]
    )
    assert not any("203.0.113" in what for _, what in terminal.said)
    terminal.now = REFUSED_AGAIN_S
    terminal.logs(REFUSED)
    assert len(terminal.said) == 5


def test_what_nobody_understands_is_told_once_an_hour_for_each_gateway(terminal: Terminal) -> None:
    for message in (
        QUARANTINED,
        QUARANTINED | {"reason": "another"},
        QUARANTINED | {"gateway": "kiwify"},
    ):
        terminal.logs(message)
    assert [verb for verb, _ in terminal.said] == ["kept", "kept"]
    assert terminal.said[0][1].startswith("delivery of hotmart to loja: `data`\n")


@pytest.mark.parametrize("on_a_terminal", [True, False])
def test_lines_are_folded_between_words_on_a_terminal_and_whole_in_a_file(
    on_a_terminal: bool,
) -> None:
    console = Console(
        file=io.StringIO(),
        width=80,
        force_terminal=on_a_terminal,
        color_system=None,
        soft_wrap=True,
    )
    Bulletin(console).say("refused", "what\n" + "copy the secret " * 9)
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert said[0] == "refused   what"
    assert len(said) == (4 if on_a_terminal else 2)
    assert (
        " ".join(line.removeprefix(" " * 10).strip() for line in said[1:]).count("copy the secret")
        == 9
    )
    assert (max(map(len, said)) <= 80) == on_a_terminal
