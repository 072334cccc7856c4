"""`sinal explain ORDER`: what became of an order and why, as one tells it to a person.

JSON lines where asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sinal_cli.client import absent
from sinal_cli.client.messages import KEPT_BACK, SIGNALS, UNREAD, meta_said, why
from sinal_cli.client.reasons import READBACK, note, waits
from sinal_cli.client.session import Session
from sinal_cli.client.show import Output, moment, money

MOST = 200  # events of one order
UTM = ("campaign", "source", "medium", "content", "term")

Event = dict[str, Any]


def explain(
    session: Session,
    out: Output,
    *,
    order: str,
    tenant: str | None,
    as_json: bool,
    gateway: str | None = None,
) -> int:
    """Every event of the order, the oldest first.

    1 when there is none, with what may have become of it.
    """
    listed = session.pages(
        "/api/v1/events", "events", most=MOST, order_id=order, tenant=tenant, gateway=gateway
    )
    events = [session.get(f"/api/v1/events/{one['id']}") for one in listed]
    if not events:
        return absent.tell(session, out, order=order, tenant=tenant, as_json=as_json)
    events.sort(key=lambda event: (_whose(event), event["received_at"]))
    for event in events if as_json else ():
        out.line(event)
    for line in () if as_json else story(order, events):
        out.sentence(line)
    return 0


def story(order: str, events: list[Event]) -> Iterator[str]:
    """The order in sentences.

    The same number in another tenant, funnel or gateway is another order.
    """
    whose = None
    for event in events:
        if _whose(event) != whose:
            if whose is not None:
                yield ""
            whose = _whose(event)
            funnel = f", funnel {event['funnel']}" if event["funnel"] else ""
            yield (
                f"Order {order} of tenant {event['tenant']}{funnel}, from "
                f"{event['gateway'] or 'the page'}"
            )
        yield ""
        yield from _told(event)


def _whose(event: Event) -> tuple[str, str, str]:
    return event["tenant"], event["gateway"] or "", event["funnel"] or ""


def _told(event: Event) -> Iterator[str]:
    value = f", {money(event)}" if money(event) else ""
    yield (
        f"{moment(event['received_at'])}  {event['status'] or event['kind']}{value}  "
        f"({event['id']})"
    )
    if event["match"]:
        yield from (f"  {line}" for line in _matched(event["match"]))
    yield from (f"  - {note(one)}" for one in event.get("why") or ())
    for delivery in event["deliveries"]:
        yield f"  To {delivery['destination']}: {_delivered(delivery)}"
        if delivery["attempts"] and delivery.get("sent"):
            yield f"    {_sent(delivery['sent'])}"
    yield f"  {_ended(event)}"


def _matched(match: Event) -> Iterator[str]:
    agrees = [one["name"] for one in match["signals"] if one["agrees"]]
    against = [one["name"] for one in match["signals"] if not one["agrees"]]
    score = f"score {match['score']:.2f}"
    runner_up = match.get("runner_up")
    if match["decision"] == "unmatched":
        yield f"It belongs to no click that is known ({score})."
        if runner_up:
            yield (
                "The nearest is click "
                f"{runner_up['click_id']}{_visit(match.get('runner_up_click'))}."
            )
            yield from _listed("They agree in", agrees)
            yield from _listed("They do not agree in", against)
        return
    sure = "It belongs to click" if match["decision"] == "match" else "It may belong to click"
    ground = SIGNALS.get(match["rule"], "several things agree")
    yield f"{sure} {match['click_id']}: {ground} (rule {match['rule']}, {score})."
    if match.get("click"):
        yield f"That is a visit{_visit(match['click'])}."
    more = [name for name in agrees if name != match["rule"]]
    yield from _listed("Agrees as well" if len(more) < len(agrees) else "Agrees", more)
    yield from _listed("Does not agree", against)
    if runner_up:
        near = f"by {runner_up['rule']}, score {runner_up['score']:.2f}"
        yield (
            f"Next best was click {runner_up['click_id']} "
            f"{near}{_visit(match.get('runner_up_click'), ': a visit')}."
        )


def _visit(click: Event | None, word: str = "") -> str:
    """When, from which campaign and on which page; empty where the visit's data is gone."""
    if click is None:
        return ""
    named = [f"{name} {click['utm'][name]}" for name in UTM if click["utm"].get(name)]
    came = f" from {', '.join(named)}" if named else " from an ad" if click["from_ad"] else ""
    page = f" on {click['url']}" if click["url"] else ""
    return f"{word} of {moment(click['first_at'])}{came}{page}"


def _listed(words: str, names: list[str]) -> Iterator[str]:
    if names:
        yield f"{words}: {', '.join(names)}."


def _sent(sent: Event) -> str:
    """What went to Meta, by the names of its fields."""
    person = ", ".join(sent["user_data"]) or "nothing"
    custom = f"; custom data {', '.join(sent['custom_data'])}" if sent["custom_data"] else ""
    return f"Sent as {sent['event_name']} with {person}{custom}."


def _delivered(delivery: Event) -> str:
    attempts = delivery["attempts"]
    count = f"{len(attempts)} attempt{'' if len(attempts) == 1 else 's'}"
    last = attempts[-1] if attempts else None
    words = {
        "delivered": f"delivered after {count}",
        "dead": f"given up after {count}",
        "withheld": "not sent",
        "sending": f"on its way, {count} so far",
        "pending": f"waiting to be sent, {count} so far" if attempts else "waiting to be sent",
    }[delivery["state"]]
    reason = f": {waits(delivery)}" if waits(delivery) else ""
    return (
        words
        + reason
        + (
            f". {_capital(_answered(last))}"
            if last and reason
            else f"; {_answered(last)}"
            if last
            else ""
        )
        + "."
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _answered(attempt: Event) -> str:
    if attempt["http_status"] is None and not attempt["answer"]:
        return f"the last, {moment(attempt['at'])}, has no answer"
    codes = "/".join(
        str(attempt[name]) for name in ("code", "subcode") if attempt[name] is not None
    )
    parts = [
        f"HTTP {attempt['http_status']}" if attempt["http_status"] is not None else "no answer",
        f"code {codes}" if codes else "",
        f"after {attempt['latency_ms']} ms" if attempt["latency_ms"] is not None else "",
    ]
    said = f": {meta_said(attempt['answer']).rstrip('.')}" if codes and attempt["answer"] else ""
    return f"Meta answered {moment(attempt['at'])} with " + ", ".join(filter(None, parts)) + said


def _ended(event: Event) -> str:
    outcome = event["outcome"]
    notes = [
        one["params"]["detail"] for one in event.get("why") or () if one["code"] == "kept_back"
    ]
    kept_back, reason = bool(notes), why(outcome["reason"])
    if kept_back and outcome["reason"] == "rejected":
        reason = KEPT_BACK
    elif any(detail.startswith(READBACK) for detail in notes):
        reason = UNREAD
    match outcome["state"]:
        case "delivered":
            return "So it was delivered."
        case "in_flight":
            return f"It is still under way{f': {reason}' if reason else ''}."
        case "withheld":
            return f"It was not sent, because {reason}."
        case _:
            return f"It was given up, because {reason}. {_way_out(event, kept_back=kept_back)}"


def _way_out(event: Event, *, kept_back: bool) -> str:
    """What may be done for an event that was given up."""
    again = f"`sinal replay {event['id']}` sends it again"
    match event["outcome"]["reason"]:
        case "too_old":
            return "Nothing sends it any more."
        case "erased":
            return "Nothing is left of it that could be sent."
        case "in_doubt":
            return f"Look in Meta's Events Manager first; if it isn't there, {again}."
        case "rejected" | "unidentifiable" | "exhausted" if kept_back:
            return f"As it is it would be given up again: mend what is said above, then {again}."
        case _:
            return f"{again}."
