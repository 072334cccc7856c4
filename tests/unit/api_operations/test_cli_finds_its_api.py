"""The command line finds its API and key, and a call whose answer was lost is asked again under its
own key.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sinal_cli.client import replays, show
from sinal_cli.client.options import moment_of
from sinal_cli.client.session import ApiRefused, ApiUnreachable, Session
from sinal_cli.client.show import Output
from sinal_cli.client.target import NoTarget, Target, TargetOptions, find

ENVIRONMENT = {"SINAL_API_URL": "http://env", "SINAL_API_KEY": "env-key"}


def stack(folder: Path, pid: int) -> Path:
    """A data folder as a stack leaves it."""
    body = {"api": "http://up:8081", "admin_key": "up-key", "pid": pid, "tenants": {}}
    (folder / "ready.json").write_bytes(msgspec.json.encode(body))
    return folder


def test_the_command_line_goes_before_the_environment_and_that_before_a_running_stack(
    tmp_path: Path,
) -> None:
    folder = stack(tmp_path, os.getpid())
    assert find(TargetOptions(api="http://said/", key="k"), ENVIRONMENT) == Target(
        "http://said", "k"
    )
    assert find(TargetOptions(), ENVIRONMENT) == Target("http://env", "env-key")
    assert find(TargetOptions(data=folder), ENVIRONMENT) == Target("http://up:8081", "up-key")
    assert find(TargetOptions(data=folder, key="mine"), {}) == Target("http://up:8081", "mine")


def test_a_stacks_key_is_for_its_own_api_only(tmp_path: Path) -> None:
    folder = stack(tmp_path, os.getpid())
    with pytest.raises(NoTarget, match="no key"):
        find(TargetOptions(api="http://elsewhere", data=folder), {})


def test_a_stack_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    folder = stack(tmp_path, 2**22 + 1)
    with pytest.raises(NoTarget, match="sinal up"):
        find(TargetOptions(data=folder), {})
    with pytest.raises(NoTarget, match="--key"):
        find(TargetOptions(data=tmp_path / "none"), {})


def test_a_stack_of_another_user_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stack(tmp_path, os.getpid())

    def closed(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", closed)
    with pytest.raises(NoTarget, match="another user's"):
        find(TargetOptions(data=folder), {})


def session(answers: list[Any], seen: list[httpx.Request]) -> Session:
    """A session whose calls get these answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one if isinstance(one, httpx.Response) else httpx.Response(one[0], json=one[1])

    return Session(Target("http://api", "k"), transport=httpx.MockTransport(answer))


def stream(number: int) -> httpx.Response:
    """A stream of one event that then ends."""
    return httpx.Response(
        200, text=f'id: cursor-{number}\nevent: event\ndata: {{"id":"ev_{number}"}}\n\n'
    )


def result(replayed: int, cursor: str | None = None) -> dict[str, Any]:
    return {
        "operation": "op", "dry_run": False, "matched": replayed, "replayed": replayed, "skipped": {}, "why": {},
        "sample": [], "next_cursor": cursor,
    }  # fmt: skip


def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sinal_cli.client.replays.time.sleep", lambda _: None)
    seen: list[httpx.Request] = []
    problem = {"status": 503, "detail": "the broker took 1 of 2"}
    answers = [(200, result(2, "next")), httpx.ReadError("lost"), (503, problem), (200, result(1))]
    assert (
        replays.many(session(answers, seen), Output(as_json=True), body={"reason": "rejected"}) == 0
    )
    keys = [request.headers["idempotency-key"] for request in seen]
    assert keys[1] == keys[2] == keys[3] != keys[0]
    assert [msgspec.json.decode(request.content).get("cursor") for request in seen] == [
        None,
        "next",
        "next",
        "next",
    ]
    assert msgspec.json.decode(capsys.readouterr().out)["replayed"] == 3


def test_groups_that_were_not_looked_at_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand tenants may have more groups of dead letters than one page shows."""
    group = {"tenant": "loja", "stage": "dispatch", "reason": "rejected", "code": 100, "subcode": None,
             "destination": "pixel"}  # fmt: skip
    for more, code in ((True, 1), (False, 0)):
        answers = [(200, {"groups": [group], "more": more}), (200, result(1))]
        assert (
            replays.replay_letters(session(answers, []), Output(as_json=True), wanted={}, body={})
            == code
        )
        said = capsys.readouterr()
        assert msgspec.json.decode(said.out)["replayed"] == 1
        assert ("only the largest 500 groups" in said.err) is more


def test_a_refusal_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinal_cli.client.replays.time.sleep", lambda _: pytest.fail("waited"))
    seen: list[httpx.Request] = []
    with pytest.raises(ApiRefused, match="in_flight"):
        refusing = session([(409, {"status": 409, "detail": "in_flight: …"})], seen)
        replays.one(refusing, Output(as_json=True), event_id="ev_1", body={})
    with pytest.raises(ApiUnreachable, match="SINAL_API_URL"):
        nobody = session([httpx.ConnectError("refused")], seen)
        replays.one(nobody, Output(as_json=True), event_id="ev_1", body={})
    assert len(seen) == 2


def test_every_field_at_fault_is_said() -> None:
    errors = [
        {"field": "since", "message": "is not a time"},
        {"field": "limit", "message": "is too large"},
    ]
    with pytest.raises(ApiRefused, match=r"since: is not a time\n  limit: is too large"):
        session(
            [(400, {"status": 400, "detail": "since: is not a time", "errors": errors})], []
        ).get("/api/v1/events")


@pytest.mark.parametrize("text", ["2026-09-21T12:00:00Z", "last week", "5 h", "-2h"])
def test_a_time_stands_as_it_is_written(text: str) -> None:
    assert moment_of(text) == text


def test_a_span_is_so_long_ago() -> None:
    assert moment_of("2d") < moment_of("47h") < moment_of("90s")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-09-21T12:00", "2026-09-21T12:00:00-03:00"),
        ("2026-09-21", "2026-09-21T00:00:00-03:00"),
        ("2026-09-21T12:00:00+00:00", "2026-09-21T12:00:00+00:00"),
    ],
)
def test_a_time_without_a_zone_is_of_here_as_tables_show_it(
    monkeypatch: pytest.MonkeyPatch, text: str, moment: str
) -> None:
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    try:
        assert moment_of(text) == moment
        assert show.moment(moment_of("2026-09-21T12:00")) == "21/09 12:00:00"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_id_is_asked_for_as_it_is_written() -> None:
    seen: list[httpx.Request] = []
    absent = (404, {"status": 404, "detail": "no event"})
    for name in ("a/../../keys", "", "é ?x=1#y"):
        with pytest.raises(ApiRefused, match="no event"):
            replays.one(session([absent], seen), Output(as_json=True), event_id=name, body={})
    paths = [request.url.raw_path.decode() for request in seen]
    assert paths == [
        "/api/v1/replay/a%2F..%2F..%2Fkeys", "/api/v1/replay/", "/api/v1/replay/%C3%A9%20%3Fx%3D1%23y"
    ]  # fmt: skip


def test_a_tail_outlasts_an_api_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two processes a load balancer answers itself, and a new process may have no database
    yet.
    """
    monkeypatch.setattr("sinal_cli.client.session.time.sleep", lambda _: None)
    seen: list[httpx.Request] = []
    away = {"status": 503, "detail": "PostgreSQL does not answer"}
    answers = [
        stream(1),
        (503, away),
        httpx.Response(502, text="<html>"),
        httpx.ConnectError("gone"),
        stream(2),
    ]
    events = session(answers, seen).tail()
    assert [next(events)["id"], next(events)["id"]] == ["ev_1", "ev_2"]
    assert [request.headers.get("last-event-id") for request in seen] == [None, *["cursor-1"] * 4]


def test_a_tail_ends_when_its_key_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinal_cli.client.session.time.sleep", lambda _: None)
    events = session(
        [stream(1), (401, {"status": 401, "detail": "a valid key is needed"})], []
    ).tail()
    assert next(events)["id"] == "ev_1"
    with pytest.raises(ApiRefused, match="valid key"):
        next(events)
