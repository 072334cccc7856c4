"""What became of an order, in sentences: a match and its grounds, attempts and Meta's answers, and
why it ended.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from sinal_cli.client.absent import lines
from sinal_cli.client.explain import story
from sinal_cli.client.messages import REASONS, SIGNALS, meta_said
from sinal_cli.client.reasons import NOTES, REFUSALS, WAITING
from sinal_hub.matching import decision
from sinal_hub.model.signals import BY_NAME

RUNTIME = Path(__file__).parents[2] / "runtime"
LIFECYCLE = Path(__file__).parents[2] / "docs" / "users" / "event-lifecycle.md"


def event(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ev_1",
        "kind": "sale",
        "status": "approved",
        "tenant": "loja",
        "funnel": "curso",
        "gateway": "hotmart",
        "value": "297.00",
        "currency": "BRL",
        "received_at": "2026-03-01T12:00:00Z",
        "match": None,
        "deliveries": [],
        "outcome": {"state": "in_flight", "reason": None},
        **changes,
    }


def attempt(**changes: Any) -> dict[str, Any]:
    at = "2026-03-01T12:00:01Z"
    return {
        "at": at,
        "http_status": 200,
        "code": None,
        "subcode": None,
        "latency_ms": 41,
        "answer": None,
        **changes,
    }


def told(**changes: Any) -> str:
    return "\n".join(story("HP1", [event(**changes)]))


def test_a_sale_that_arrived() -> None:
    match = {
        "decision": "match",
        "rule": "click_id",
        "score": 1.0,
        "click_id": "c_9",
        "signals": [
            {"name": "click_id", "weight": 1.0, "agrees": True},
            {"name": "utm", "weight": 0.25, "agrees": True},
            {"name": "fbp", "weight": 0.95, "agrees": False},
        ],
        "runner_up": {"click_id": "c_1", "rule": "utm", "score": 0.25},
    }
    delivery = {"destination": "pixel", "state": "delivered", "attempts": [attempt()]}
    text = told(match=match, deliveries=[delivery], outcome={"state": "delivered", "reason": None})
    for part in (
        "Order HP1 of tenant loja, funnel curso, from hotmart",
        "approved, 297.00 BRL",
        "It belongs to click c_9: our own click id came back through the checkout (rule click_id, "
        "score 1.00).",
        "Agrees as well: utm.",
        "Does not agree: fbp.",
        "Next best was click c_1 by utm, score 0.25.",
        "To pixel: delivered after 1 attempt; Meta answered",
        "with HTTP 200, after 41 ms.",
        "So it was delivered.",
    ):
        assert part in text


def test_a_sale_that_meta_refused() -> None:
    refused = attempt(http_status=400, code=100, subcode=2804019, answer="Invalid parameter")
    delivery = {"destination": "pixel", "state": "dead", "attempts": [refused, refused, refused]}
    text = told(deliveries=[delivery], outcome={"state": "dead", "reason": "rejected"})
    assert "To pixel: given up after 3 attempts; Meta answered" in text
    assert "HTTP 400, code 100/2804019, after 41 ms: Invalid parameter" in text
    assert (
        "It was given up, because Meta refuses this very event. `sinal replay ev_1` sends it again."
        in text
    )


META = (
    '{"error":{"message":"Error validating \\"token\\".","type":"OAuthException","code":190,'
    '"error_subcode":460,"fbtrace_id":"AjQbRSZYD"}}'
)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (META, 'Error validating "token". (fbtrace_id AjQbRSZYD)'),
        (META[:60], 'Error validating "token".'),
        (
            META.replace('"type"', '"error_user_msg":"Sinto muito","type"'),
            "Sinto muito (fbtrace_id AjQbRSZYD)",
        ),
        ("<html>", "<html>"),
        ("x" * 500, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_of_meta_s_answer_its_message_is_said(answer: str, said: str) -> None:
    assert meta_said(answer) == said


def test_an_attempt_without_an_answer() -> None:
    open_end = attempt(http_status=None, latency_ms=None)
    text = told(deliveries=[{"destination": "pixel", "state": "sending", "attempts": [open_end]}])
    assert "on its way, 1 attempt so far; the last, " in text and "has no answer" in text
    assert "It is still under way." in text


@pytest.mark.parametrize("state", ["pending", "withheld"])
def test_a_delivery_without_an_attempt(state: str) -> None:
    text = told(deliveries=[{"destination": "pixel", "state": state, "attempts": []}])
    assert {"pending": "waiting to be sent.", "withheld": "not sent."}[state] in text


def test_a_sale_without_a_click_and_a_doubtful_one() -> None:
    match = {"rule": "none", "score": 0.3, "click_id": None, "signals": [], "runner_up": None}
    assert "belongs to no click that is known (score 0.30)" in told(
        match={**match, "decision": "unmatched"}
    )
    doubtful = {**match, "decision": "review", "rule": "weighted", "click_id": "c_2", "score": 0.7}
    assert "It may belong to click c_2: several things agree" in told(match=doubtful)


NATAL = {
    "click_id": "c_9",
    "first_at": "2026-03-01T11:30:00Z",
    "url": "https://curso.example/oferta",
    "utm": {"campaign": "natal", "source": "fb", "content": "video-2"},
    "from_ad": True,
}


def at(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%d/%m %H:%M:%S")


def test_a_match_names_campaign_page_and_time_of_its_visit_and_of_the_next_best() -> None:
    match = {
        "decision": "match", "rule": "click_id", "score": 1.0, "click_id": "c_9", "click": NATAL,
        "signals": [{"name": "click_id", "weight": 1.0, "agrees": True}],
        "runner_up": {"click_id": "c_1", "rule": "ip", "score": 0.45},
        "runner_up_click": {**NATAL, "click_id": "c_1", "utm": {}, "url": None},
    }  # fmt: skip
    lines = told(match=match).splitlines()
    visit = at("2026-03-01T11:30:00Z")
    came = "from campaign natal, source fb, content video-2 on https://curso.example/oferta"
    assert f"  That is a visit of {visit} {came}." in lines
    assert f"  Next best was click c_1 by ip, score 0.45: a visit of {visit} from an ad." in lines
    assert not [line for line in lines if line.lstrip().startswith("Agrees")]


def test_a_sale_without_a_click_says_what_agrees_with_the_nearest_and_what_was_absent() -> None:
    match = {
        "decision": "unmatched", "rule": "weighted", "score": 0.29, "click_id": None, "click": None,
        "signals": [
            {"name": "ip", "weight": 0.2, "agrees": True},
            {"name": "fbp", "weight": 0.95, "agrees": False},
            {"name": "hour", "weight": 0.15, "agrees": True},
        ],
        "runner_up": {"click_id": "c_9", "rule": "weighted", "score": 0.29}, "runner_up_click": NATAL,
    }  # fmt: skip
    why = [
        {"code": "click_id_absent", "params": {"gateway": "hotmart"}},
        {"code": "email_unseen", "params": {"days": 7, "last_at": None}},
        {"code": "address_shared", "params": {"visitors": 5, "weight": 0.2012}},
        {"code": "a_word_of_a_later_release", "params": {}},
    ]
    lines = told(match=match, why=why).splitlines()
    assert lines[3:11] == [
        "  It belongs to no click that is known (score 0.29).",
        f"  The nearest is click c_9 of {at('2026-03-01T11:30:00Z')} from campaign natal, source "
        "fb, content video-2 "
        "on https://curso.example/oferta.",
        "  They agree in: ip, hour.",
        "  They do not agree in: fbp.",
        "  - No click id came back through hotmart: put the script on the page whose button leads "
        "to the checkout, so "
        "that its link carries the id (docs/users/tracker.md).",
        "  - Nobody gave this e-mail on a page of yours in the 7 days before: have the page that "
        "asks for it tell of "
        "it (docs/users/tracker.md).",
        "  - 5 visitors used the sale's address within a day, as on mobile networks: it counts "
        "0.20, not 0.45 (divided "
        "by √5) (docs/users/matching.md).",
        "  - a_word_of_a_later_release",
    ]


WAITS = [
    (
        {"code": "breaker_open", "params": {"reason": "credential", "code": 190}},
        "the destination's breaker is open: Meta refuses the destination's token (code 190): put a "
        "good one into its "
        "Secret",
    ),
    (
        {"code": "breaker_open", "params": {"reason": "server", "code": None}},
        "the destination's breaker is open: Meta fails again and again",
    ),
    (
        {"code": "no_token", "params": {"problem": "Secret meta has no key token"}},
        "the destination has no token: Secret meta has no key token",
    ),
    (
        {"code": "backing_off", "params": {"attempts": 3}},
        "it failed 3 times, and waits longer after each",
    ),
    ({"code": "throttled", "params": {"code": 4}}, "Meta wants fewer requests for a while"),
    (
        {"code": "queued", "params": {}},
        "its turn comes within seconds, unless much waits before it",
    ),
]


@pytest.mark.parametrize(("waiting", "sentence"), WAITS)
def test_what_waits_says_why_and_when_it_is_tried_next(
    waiting: dict[str, Any], sentence: str
) -> None:
    next_at = "2026-03-01T12:05:00Z"
    delivery = {
        "destination": "pixel", "state": "pending", "attempts": [], "next_at": next_at, "waiting": waiting,
    }  # fmt: skip
    assert f"To pixel: waiting to be sent: {sentence}; it is tried next {at(next_at)}." in told(
        deliveries=[delivery]
    )


def test_what_was_sent_is_told_by_the_names_of_its_fields() -> None:
    sent = {
        "event_name": "Purchase",
        "user_data": ["em", "fbc"],
        "custom_data": ["currency", "value"],
        "fields": [],
    }
    delivery = {"destination": "pixel", "state": "delivered", "attempts": [attempt()], "sent": sent}
    assert "    Sent as Purchase with em, fbc; custom data currency, value." in told(
        deliveries=[delivery]
    )


REFUSED = {
    "tenant": "loja", "integration": "vendas", "gateway": "hotmart", "reason": "proof_missing",
    "missing": "x-hotmart-hottok", "networks": ["203.0.113.0/24"], "deliveries": 26, "last_at": "2026-03-01T12:00:00Z",
}  # fmt: skip


def test_an_order_of_which_nothing_is_known_may_be_among_the_refused() -> None:
    found = {
        "elsewhere": [{"tenant": "outra", "funnel": "bolo", "gateway": "kiwify"}], "refusals": [REFUSED],
        "waiting": [{"subject": "ingest", "detail": "3 events wait on disk"}], "quarantined": 2,
    }  # fmt: skip
    assert list(lines("HP1", "loja", found)) == [
        "No event of an order HP1 in tenant loja is known.",
        "- There is one of tenant outra, funnel bolo, from kiwify: `sinal explain HP1 --tenant "
        "outra`.",
        "- It may be among those that were refused: 26 deliveries of hotmart to loja/vendas "
        "refused, the last "
        f"{at('2026-03-01T12:00:00Z')}, from 203.0.113.0/24: x-hotmart-hottok is missing, by which "
        "hotmart proves "
        "itself: copy the secret of its panel into the integration's Secret, and see that the "
        "panel sends it.",
        "- It may wait: ingest: 3 events wait on disk.",
        "- It may be one of 2 deliveries that no adapter could read: `sinal quarantine list`.",
        "- An order that was erased on request, or is older than the tenant keeps data, is not "
        "here either.",
    ]


def test_an_events_id_is_told_from_an_order() -> None:
    nothing = {"elsewhere": [], "refusals": [], "waiting": [], "quarantined": 0}
    text = "\n".join(lines("ev_abc", None, nothing))
    assert (
        "`sinal events show ev_abc`" in text
        and "Nothing was refused in 48 hours and nothing waits" in text
    )


def test_every_word_that_the_platform_says_has_a_sentence() -> None:
    source = (RUNTIME / "sinal_hub" / "services" / "why.py").read_text()
    said = set(re.findall(r'_note\(\s*"([a-z_]+)"', source))
    said |= {f"{name}_{end}" for name in ("email", "phone") for end in ("absent", "unseen")}
    assert said == NOTES.keys() | WAITING.keys()
    judged = "".join(
        (RUNTIME / f"{name}.py").read_text()
        for name in (
            "sinal_hub/ingest/webhooks/refusals",
            "sinal_hub/ingest/webhooks/accept",
            "sinal_hub/ingest/webhooks/door",
            "sinal_core/http/problem",
            "sinal_hub/quarantine/keeping",
        )
    )
    reasons = set(
        re.findall(
            r'(?:reason=|reason = |40[1-8]: |4[12]\d: |503: |if missing else )"([a-z_]+)"', judged
        )
    )
    assert reasons == REFUSALS.keys()


def test_pages_that_sentences_name_are_there() -> None:
    source = (RUNTIME / "sinal_cli" / "client" / "reasons.py").read_text()
    pages = set(re.findall(r"docs/[a-z/-]+\.md", source))
    assert pages and not [page for page in pages if not (RUNTIME.parent / page).is_file()]


def test_orders_of_two_tenants_are_told_apart() -> None:
    lines = list(story("7", [event(), event(tenant="outra", funnel=None)]))
    assert [line for line in lines if line.startswith("Order")] == [
        "Order 7 of tenant loja, funnel curso, from hotmart",
        "Order 7 of tenant outra, from hotmart",
    ]


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_has_words_and_makes_a_sentence(reason: str) -> None:
    text = told(outcome={"state": "withheld", "reason": reason})
    assert f"because {REASONS[reason]}." in text


def test_no_reason_and_no_signal_is_without_words() -> None:
    assert REASONS.keys() >= set(get_args(decision.Reason))
    cells = [
        row.split("|")[1] for row in LIFECYCLE.read_text().splitlines() if row.startswith("| `")
    ]
    documented = {word for cell in cells for word in cell.split("`")[1::2]}
    assert documented == REASONS.keys()
    assert SIGNALS.keys() == BY_NAME.keys()
