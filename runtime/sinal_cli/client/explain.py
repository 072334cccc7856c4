"""`sinal explain ORDER`: what became of an order and why, as one tells it to a person; JSON lines where asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sinal_cli.client.session import Session
from sinal_cli.client.show import Output, moment, money, plain
from sinal_cli.client.words import SIGNALS, why
from sinal_cli.offline import complain

MOST = 200  # events of one order
ANSWER = 200  # characters of an answer of Meta's

Event = dict[str, Any]


def explain(session: Session, out: Output, *, order: str, tenant: str | None, as_json: bool) -> int:
    """Every event of the order, the oldest first; 1 when there is none."""
    listed = session.pages("/api/v1/events", "events", most=MOST, order_id=order, tenant=tenant)
    events = [session.get(f"/api/v1/events/{one['id']}") for one in listed]
    if not events:
        complain(
            f"no event of an order {order!r}: it is the gateway's number of the sale, as `sinal events list --kind "
            "sale` shows it. "
            "If the gateway says that it delivered, look at `sinal quarantine list`"
        )
        return 1
    events.sort(key=lambda event: (event["tenant"], event["received_at"]))
    for event in events if as_json else ():
        out.line(event)
    for line in () if as_json else story(order, events):
        out.console.print(plain(line), markup=False, soft_wrap=True)
    return 0


def story(order: str, events: list[Event]) -> Iterator[str]:
    """The order in sentences."""
    tenant = None
    for event in events:
        if event["tenant"] != tenant:
            tenant = event["tenant"]
            funnel = f", funnel {event['funnel']}" if event["funnel"] else ""
            yield f"Order {order} of tenant {tenant}{funnel}, from {event['gateway'] or 'the page'}"
        yield ""
        yield from _told(event)


def _told(event: Event) -> Iterator[str]:
    value = f", {money(event)}" if money(event) else ""
    yield f"{moment(event['received_at'])}  {event['status'] or event['kind']}{value}  ({event['id']})"
    if event["match"]:
        yield from (f"  {line}" for line in _matched(event["match"]))
    for delivery in event["deliveries"]:
        yield f"  To {delivery['destination']}: {_delivered(delivery)}"
    yield f"  {_ended(event)}"


def _matched(match: Event) -> Iterator[str]:
    agrees = [one["name"] for one in match["signals"] if one["agrees"]]
    score = f"score {match['score']:.2f}"
    if match["decision"] == "unmatched":
        yield f"It belongs to no click that is known ({score})."
    else:
        sure = "It belongs to click" if match["decision"] == "match" else "It may belong to click"
        ground = SIGNALS.get(match["rule"], "several things agree")
        yield f"{sure} {match['click_id']}: {ground} (rule {match['rule']}, {score})."
    more = [name for name in agrees if name != match["rule"]]
    if more:
        yield f"Agrees as well: {', '.join(more)}."
    against = [one["name"] for one in match["signals"] if not one["agrees"]]
    if against:
        yield f"Does not agree: {', '.join(against)}."
    runner_up = match.get("runner_up")
    if runner_up:
        yield f"Next best was click {runner_up['click_id']} by {runner_up['rule']}, score {runner_up['score']:.2f}."


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
    return words + (f"; {_answered(last)}" if last else "") + "."


def _answered(attempt: Event) -> str:
    if attempt["http_status"] is None and not attempt["answer"]:
        return f"the last, {moment(attempt['at'])}, has no answer"
    codes = "/".join(str(attempt[name]) for name in ("code", "subcode") if attempt[name] is not None)
    parts = [
        f"HTTP {attempt['http_status']}" if attempt["http_status"] is not None else "no answer",
        f"code {codes}" if codes else "",
        f"after {attempt['latency_ms']} ms" if attempt["latency_ms"] is not None else "",
    ]
    said = f": {attempt['answer'][:ANSWER]}" if codes and attempt["answer"] else ""
    return f"Meta answered {moment(attempt['at'])} with " + ", ".join(filter(None, parts)) + said


def _ended(event: Event) -> str:
    outcome, reason = event["outcome"], why(event["outcome"]["reason"])
    match outcome["state"]:
        case "delivered":
            return "So it was delivered."
        case "in_flight":
            return f"It is still under way{f': {reason}' if reason else ''}."
        case "withheld":
            return f"It was not sent, because {reason}."
        case _:
            return f"It was given up, because {reason}. `replay {event['id']}` sends it again."
