"""The command line finds its API and key, and a call whose answer was lost is asked again under its own key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sinal_cli.client import replays
from sinal_cli.client.options import moment_of
from sinal_cli.client.session import Refused, Session, Unreachable
from sinal_cli.client.show import Output
from sinal_cli.client.target import NoTarget, Said, Target, find

ENVIRONMENT = {"SINAL_API_URL": "http://env", "SINAL_API_KEY": "env-key"}


def stack(folder: Path, pid: int) -> Path:
    """A data folder as a stack leaves it."""
    body = {"api": "http://up:8081", "admin_key": "up-key", "pid": pid, "tenants": {}}
    (folder / "ready.json").write_bytes(msgspec.json.encode(body))
    return folder


def test_the_command_line_goes_before_the_environment_and_that_before_a_running_stack(tmp_path: Path) -> None:
    folder = stack(tmp_path, os.getpid())
    assert find(Said(api="http://said/", key="k"), ENVIRONMENT) == Target("http://said", "k")
    assert find(Said(), ENVIRONMENT) == Target("http://env", "env-key")
    assert find(Said(data=folder), ENVIRONMENT) == Target("http://up:8081", "up-key")
    assert find(Said(data=folder, key="mine"), {}) == Target("http://up:8081", "mine")


def test_a_stacks_key_is_for_its_own_api_only(tmp_path: Path) -> None:
    folder = stack(tmp_path, os.getpid())
    with pytest.raises(NoTarget, match="no key"):
        find(Said(api="http://elsewhere", data=folder), {})


def test_a_stack_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    folder = stack(tmp_path, 2**22 + 1)
    with pytest.raises(NoTarget, match="sinal up"):
        find(Said(data=folder), {})
    with pytest.raises(NoTarget, match="--key"):
        find(Said(data=tmp_path / "none"), {})


def session(answers: list[Any], seen: list[httpx.Request]) -> Session:
    """A session whose calls get these answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return httpx.Response(one[0], json=one[1])

    return Session(Target("http://api", "k"), transport=httpx.MockTransport(answer))


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
    assert replays.many(session(answers, seen), Output(as_json=True), body={"reason": "rejected"}) == 0
    keys = [request.headers["idempotency-key"] for request in seen]
    assert keys[1] == keys[2] == keys[3] != keys[0]
    assert [msgspec.json.decode(request.content).get("cursor") for request in seen] == [None, "next", "next", "next"]
    assert msgspec.json.decode(capsys.readouterr().out)["replayed"] == 3


def test_a_refusal_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinal_cli.client.replays.time.sleep", lambda _: pytest.fail("waited"))
    seen: list[httpx.Request] = []
    with pytest.raises(Refused, match="in_flight"):
        refusing = session([(409, {"status": 409, "detail": "in_flight: …"})], seen)
        replays.one(refusing, Output(as_json=True), event_id="ev_1", body={})
    with pytest.raises(Unreachable, match="SINAL_API_URL"):
        nobody = session([httpx.ConnectError("refused")], seen)
        replays.one(nobody, Output(as_json=True), event_id="ev_1", body={})
    assert len(seen) == 2


def test_every_field_at_fault_is_said() -> None:
    errors = [{"field": "since", "message": "is no time"}, {"field": "limit", "message": "is too large"}]
    with pytest.raises(Refused, match=r"since: is no time\n  limit: is too large"):
        session([(400, {"status": 400, "detail": "since: is no time", "errors": errors})], []).get("/api/v1/events")


@pytest.mark.parametrize("text", ["2026-09-21T12:00:00Z", "yesterday", "5 h", "-2h"])
def test_a_time_stands_as_it_is_written(text: str) -> None:
    assert moment_of(text) == text


def test_a_span_is_so_long_ago() -> None:
    assert moment_of("2d") < moment_of("47h") < moment_of("90s")
