"""What became of an order, in sentences: a match and its grounds, attempts and Meta's answers, and why it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from sinal_cli.client.explain import story
from sinal_cli.client.words import REASONS, SIGNALS
from sinal_runtime.matching import decision
from sinal_runtime.matching.signals import BY_NAME

LIFECYCLE = Path(__file__).parents[2] / "docs" / "event-lifecycle.md"


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
    return {"at": at, "http_status": 200, "code": None, "subcode": None, "latency_ms": 41, "answer": None, **changes}


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
        "It belongs to click c_9: our own click id came back through the checkout (rule click_id, score 1.00).",
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
    assert "It was given up, because Meta refuses this very event. `replay ev_1` sends it again." in text


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
    assert "belongs to no click that is known (score 0.30)" in told(match={**match, "decision": "unmatched"})
    doubtful = {**match, "decision": "review", "rule": "weighted", "click_id": "c_2", "score": 0.7}
    assert "It may belong to click c_2: several things agree" in told(match=doubtful)


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
    cells = [row.split("|")[1] for row in LIFECYCLE.read_text().splitlines() if row.startswith("| `")]
    documented = {word for cell in cells for word in cell.split("`")[1::2]}
    assert documented == REASONS.keys()
    assert SIGNALS.keys() == BY_NAME.keys()
