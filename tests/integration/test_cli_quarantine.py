"""`sinal quarantine`: a person finds what no adapter understood and reads it again, without seeing
a body.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sinal_cli.client import quarantine as words
from sinal_cli.client.session import ApiRefused, Session
from sinal_cli.client.show import Output
from sinal_cli.client.target import Target

from tests.support.fix_operations import ADMIN_KEY, RunningApi

SALE = (
    Path(__file__).parents[1] / "fixtures" / "gateways" / "hotmart" / "PURCHASE_APPROVED.pix.json"
)
Cli = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def sinal(
    running_api: RunningApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """The words of `sinal quarantine` against the real API: exit code and JSON lines."""

    def pass_on(request: httpx.Request) -> httpx.Response:
        kind = {name: value for name, value in request.headers.items() if name == "content-type"}
        path = request.url.raw_path.decode()
        answer = running_api.ask(request.method, path, content=request.content, headers=kind)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def run(_: object, work: Callable[[Session, Output], int]) -> int:
        with Session(
            Target("http://api", ADMIN_KEY), transport=httpx.MockTransport(pass_on)
        ) as session:
            return work(session, Output(as_json=True))

    monkeypatch.setattr(words, "run", run)

    def call(*tokens: str) -> tuple[int, list[dict[str, Any]]]:
        capsys.readouterr()
        code: int = words.quarantine(list(tokens), result_action="return_value")
        lines = capsys.readouterr().out.splitlines()
        # others are the log's
        return code, [msgspec.json.decode(line) for line in lines if line.startswith("{")]

    return call


def keep(api: RunningApi, raw: bytes) -> str:
    """One delivery of loja's Hotmart as the edge keeps it."""
    kept = api.sealed.keep(
        tenant="loja",
        integration="hotmart-principal",
        gateway="hotmart",
        raw=raw,
        reason="`event` is missing",
    )
    return api.run(kept)


def test_it_lists_and_shows_where_from_and_why_but_no_body(
    running_api: RunningApi, sinal: Cli
) -> None:
    kept = keep(running_api, b"<html>ana@example.com")
    code, (listed,) = sinal("list", "--tenant", "loja", "--gateway", "hotmart")
    assert (code, listed["id"], listed["integration"], listed["reason"]) == (
        0, kept, "hotmart-principal", "`event` is missing",
    )  # fmt: skip
    assert sinal("show", kept) == (0, [listed])
    assert sinal("list", "--gateway", "kiwify") == (0, [])
    assert "ana" not in str(listed)


def test_what_is_understood_now_becomes_an_event_and_leaves(
    running_api: RunningApi, sinal: Cli
) -> None:
    kept = keep(running_api, SALE.read_bytes())
    code, (done,) = sinal("reparse", kept)
    assert (code, done["id"], done["result"], len(done["events"])) == (0, kept, "released", 1)
    assert sinal("list") == (0, [])


def test_a_gateway_is_read_again_page_by_page_and_what_stays_is_told(
    running_api: RunningApi, sinal: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "AT_ONCE", 1)
    stays, goes = keep(running_api, b"<html>"), keep(running_api, SALE.read_bytes())
    code, done = sinal("reparse", "--gateway", "hotmart", "--tenant", "loja")
    assert code == 1
    assert {one["id"]: one["result"] for one in done} == {stays: "not_understood", goes: "released"}
    assert [one["id"] for one in sinal("list")[1]] == [stays]


@pytest.mark.parametrize("tokens", [(), ("ID", "--gateway", "hotmart"), ("ID", "--tenant", "loja")])
def test_one_or_a_gateway_must_be_named(sinal: Cli, tokens: tuple[str, ...]) -> None:
    assert sinal("reparse", *tokens) == (2, [])


@pytest.mark.parametrize("word", ["show", "reparse"])
def test_one_that_is_not_there_is_said_to_be_gone(sinal: Cli, word: str) -> None:
    with pytest.raises(ApiRefused, match="released, or it expired"):
        sinal(word, "00000000-0000-4000-8000-000000000000")
    with pytest.raises(ApiRefused):
        sinal(word, "../keys")
