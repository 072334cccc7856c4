"""Commands of people: a word on each event sent again, a tail without repeats, wrong words answered
with choices.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, get_args

import httpx
import msgspec
import pytest
from rich.console import Console

from sinal_cli.client import events, figures, keys, options, privacy, replays
from sinal_cli.client.explain import explain
from sinal_cli.client.options import BadEmail, FilterOptions, moment_of
from sinal_cli.client.session import ApiRefused, Session
from sinal_cli.client.show import Output
from sinal_cli.client.target import Target
from sinal_hub.model.events import Kind
from sinal_hub.model.sale import Status

EVENT: dict[str, Any] = {
    "id": "ev_6saakkwsy22u5bnqcuoc6zbwa4", "kind": "sale", "status": "approved", "tenant": "loja", "funnel": "curso",
    "order_id": "HP1", "value": "297.00", "currency": "BRL", "received_at": "2026-09-21T12:00:00Z", "match": None,
    "outcome": {"state": "delivered", "reason": None},
}  # fmt: skip
LATER = EVENT | {
    "id": "ev_" + "b" * 26,
    "status": "refunded",
    "outcome": {"state": "withheld", "reason": "policy"},
}
REPLAYED = {
    "operation": "op", "dry_run": False, "matched": 1, "replayed": 1, "skipped": {}, "why": {}, "sample": [],
    "next_cursor": None,
}  # fmt: skip
FUNNELS = {"funnels": [{"tenant": "loja"}, {"tenant": "cursos"}, {"tenant": "loja"}]}


class Api:
    """An API with answers by path, and what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.seen = answers, list[httpx.Request]()

    @property
    def session(self) -> Session:
        """A session of it."""
        return Session(Target("http://api", "k"), transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        name = request.url.path.removeprefix("/api/v1/").replace("/", "_").replace("-", "_")
        found = self.answers.get(name, (404, {"status": 404, "detail": f"no {name}"}))
        if isinstance(found, httpx.Response):
            return found
        return (
            httpx.Response(found[0], json=found[1])
            if isinstance(found, tuple)
            else httpx.Response(200, json=found)
        )


def page(*found: dict[str, Any]) -> dict[str, Any]:
    return {"events": list(found), "next_cursor": None}


def terminal(width: int = 80) -> Output:
    out = Output(as_json=False)
    out.lines, out.console = False, Console(highlight=False, width=width)
    return out


def test_an_order_is_sent_again_whatever_became_of_it_and_each_event_has_its_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = (409, {"status": 409, "detail": "policy: the funnel sends nothing for it"})
    api = Api(
        events=page(LATER, EVENT),
        **{f"replay_{EVENT['id']}": REPLAYED, f"replay_{LATER['id']}": refused},
    )
    assert (
        replays.order(
            api.session, Output(as_json=True), filters={"order_id": "HP1"}, body={"force": True}
        )
        == 0
    )
    first, second = (msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines())
    assert (first["event"], first["replayed"], first["result"]) == (EVENT["id"], True, "sent again")
    assert (second["what"], second["replayed"]) == (
        "refunded",
        False,
    ) and "sends nothing" in second["result"]
    assert [msgspec.json.decode(one.content) for one in api.seen[1:]] == [{"force": True}] * 2


def test_an_order_of_which_nothing_is_sent_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    refused = (409, {"status": 409, "detail": "delivered: it was delivered"})
    api = Api(events=page(EVENT), **{f"replay_{EVENT['id']}": refused})
    assert replays.order(api.session, terminal(), filters={"order_id": "HP1"}, body={}) == 1
    assert EVENT["id"] in capsys.readouterr().out
    api = Api(events=page(), funnels=FUNNELS)
    assert (
        replays.order(
            api.session, terminal(), filters={"order_id": "HP1", "tenant": "nope"}, body={}
        )
        == 1
    )
    assert "no tenant 'nope'; there are: cursos, loja" in capsys.readouterr().err


def test_a_number_that_orders_of_two_gateways_have_sends_nothing_until_one_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = Api(events=page(EVENT | {"gateway": "monetizze"}, LATER | {"gateway": "eduzz"}))
    assert replays.order(api.session, terminal(), filters={"order_id": "1001"}, body={}) == 2
    assert "say --gateway eduzz or monetizze" in capsys.readouterr().err
    assert len(api.seen) == 1, "nothing was asked to be sent"


def test_an_order_s_number_in_place_of_an_event_is_told_how_to_say_it() -> None:
    with pytest.raises(ApiRefused, match="sinal replay --order HP1"):
        replays.one(Api().session, Output(as_json=True), event_id="HP1", body={})


def test_a_tenant_that_there_is_not_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = Api(events=page(), funnels=FUNNELS)
    assert events.listing(api.session, terminal(), limit=5, filters={"tenant": "nope"}) == 2
    assert "there are: cursos, loja" in capsys.readouterr().err
    with pytest.raises(ApiRefused, match=r"which tenant.*cursos, loja"):
        figures.summary(api.session, terminal(), tenant=None, hours=24)


def test_a_tail_begins_with_what_came_before_and_repeats_no_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flying = EVENT | {"outcome": {"state": "in_flight", "reason": None}}
    stream = "".join(f"id: {n}\nevent: event\ndata: {msgspec.json.encode(one).decode()}\n\n"
                     for n, one in enumerate([LATER, flying, EVENT, EVENT, LATER | {"order_id": "HP2"}]))  # fmt: skip
    api = Api(events=page(LATER), events_stream=httpx.Response(200, text=stream))
    assert events.tail(api.session, terminal(120), filters={}, most=3, before=5) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split()[:2] == ["received", "id"]
    assert [("in_flight" in line, "HP2" in line) for line in said[1:]] == [
        (False, False), (True, False), (False, False), (False, True)
    ]  # fmt: skip
    assert {len(line) <= 120 for line in said} == {True}


def test_programs_get_every_event_of_a_tail_and_none_that_came_before(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = f"event: event\ndata: {msgspec.json.encode(EVENT).decode()}\n\n"
    api = Api(
        events=page(LATER), events_stream=httpx.Response(200, text=f"id: 1\n{line}id: 2\n{line}")
    )
    assert events.tail(api.session, Output(as_json=True), filters={}, most=2, before=None) == 0
    said = [msgspec.json.decode(found)["id"] for found in capsys.readouterr().out.splitlines()]
    assert said == [EVENT["id"], EVENT["id"]]


def test_an_email_is_hashed_before_it_leaves() -> None:
    digest = hashlib.sha256(b"maria@example.com").hexdigest()
    assert FilterOptions(email=" Maria@Example.com ").query() == {"email_sha256": digest}
    assert FilterOptions(email=digest.upper()).query() == {"email_sha256": digest}
    with pytest.raises(BadEmail, match="'maria' is not an e-mail address"):
        FilterOptions(email="maria").query()


def test_yesterday_is_its_midnight_here() -> None:
    midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    assert datetime.fromisoformat(moment_of("today")) == midnight
    assert abs(
        datetime.fromisoformat(moment_of("yesterday")) - (midnight - timedelta(days=1))
    ) <= timedelta(hours=1)


def test_the_words_that_are_offered_are_those_of_the_platform() -> None:
    assert get_args(options.Kind) == get_args(Kind)
    assert get_args(options.Status) == get_args(Status)


def test_a_new_key_is_shown_whole_and_a_list_never_shows_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = {"key": "sak_secret", "id": "key_1", "name": "console", "tenant": "loja", "role": "viewer",
            "expires_at": None}  # fmt: skip
    keys._create(Api(keys=made).session, terminal(), {"name": "console"})
    assert "sak_secret" in capsys.readouterr().out
    row = {"id": "key_1", "name": "console", "tenant": None, "role": "viewer", "created_at": "2026-09-21T12:00:00Z",
           "last_used_at": None, "expires_at": None, "revoked_at": "2026-09-21T12:00:00Z"}  # fmt: skip
    keys._list(
        Api(keys={"keys": [row], "next_cursor": None}).session, terminal(), tenant=None, limit=5
    )
    said = capsys.readouterr().out
    assert "key_1" in said and "all" in said and "revoked" in said


def test_an_erasure_shows_what_it_would_forget_and_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api(privacy_exports={"data": {"events": [1, 2], "clicks": []}})
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    body = {"tenant": "loja", "email": "a@example.com"}
    assert privacy._erase(api.session, terminal(), body, wait=False, yes=False) == 1
    assert [request.url.path for request in api.seen] == ["/api/v1/privacy/exports"]
    said = capsys.readouterr()
    assert (
        "events  2" in said.out and "clicks" not in said.out and "nothing was forgotten" in said.err
    )


@pytest.mark.parametrize("width", [80, 60])
def test_an_order_that_is_not_known_is_told_in_lines_that_fit(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "reason": "proof_missing",
        "tenant": "loja",
        "integration": "kiwify",
        "gateway": "kiwify",
        "missing": "signature",
        "deliveries": 25,
        "last_at": "2026-11-30T12:00:00Z",
        "networks": ["203.0.113.0/24"],
    }
    api = Api(
        events=page(),
        refusals={"refusals": [row]},
        status={"findings": []},
        quarantine={"deliveries": [{}] * 2},
    )
    assert explain(api.session, terminal(width), order="HP404", tenant=None, as_json=False) == 1
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert "see that the panel sends it." in " ".join(said.split())
