"""An order of which no event is known: whose else it is, and where its delivery may have ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sinal_cli.client.reasons import refusal
from sinal_cli.client.session import ApiRefused, Session
from sinal_cli.client.show import Output

HOURS = 48  # the edge's refusals are kept so long
MOST = 5


def tell(session: Session, out: Output, *, order: str, tenant: str | None, as_json: bool) -> int:
    """What is known instead; always 1."""
    found = _look(session, order, tenant)
    if as_json:
        out.line({"order": order, "known": False, **found})
        return 1
    for line in lines(order, tenant, found):
        out.sentence(line)
    return 1


def lines(order: str, tenant: str | None, found: dict[str, Any]) -> Iterator[str]:
    """The same in sentences."""
    of = f" in tenant {tenant}" if tenant else ""
    yield f"No event of an order {order}{of} is known."
    if order.startswith("ev_"):
        yield f"- That looks like an event's id: `sinal events show {order}`."
    for other in found["elsewhere"]:
        words = (
            f"tenant {other['tenant']}, funnel {other['funnel']}, from "
            f"{other['gateway'] or 'a page'}"
        )
        yield f"- There is one of {words}: `sinal explain {order} --tenant {other['tenant']}`."
    for row in found["refusals"]:
        yield f"- It may be among those that were refused: {refusal(row)}."
    for one in found["waiting"]:
        yield f"- It may wait: {one['subject']}: {one['detail']}."
    if found["quarantined"]:
        more = "or more " if found["quarantined"] >= MOST else ""
        yield (
            f"- It may be one of {found['quarantined']} {more}deliveries that no adapter could "
            "read: "
            "`sinal quarantine list`."
        )
    if not any(found.values()):
        nothing = f"Nothing was refused in {HOURS} hours and nothing waits"
        yield f"- {nothing}: see in the gateway's panel whether it sent one, and to which URL."
    yield (
        "- An order that was erased on request, or is older than the tenant keeps data, is not "
        "here either."
    )


def _look(session: Session, order: str, tenant: str | None) -> dict[str, Any]:
    rows = session.get("/api/v1/refusals", tenant=tenant, hours=HOURS, limit=MOST)["refusals"]
    findings = session.get("/api/v1/status", tenant=tenant, tokens="false")["findings"]
    places = ("spool", "lanes", "services")
    return {
        "elsewhere": _elsewhere(session, order) if tenant else [],
        "refusals": rows,
        "waiting": [one for one in findings if one["area"] in places and one["grade"] != "ok"],
        "quarantined": _quarantined(session, tenant),
    }


def _elsewhere(session: Session, order: str) -> list[dict[str, Any]]:
    """Whose the number is in what this key may see."""
    found = session.pages("/api/v1/events", "events", most=MOST, order_id=order)
    owners = {(one["tenant"], one["funnel"], one["gateway"]): one for one in found}
    return [
        {"tenant": tenant, "funnel": funnel, "gateway": gateway}
        for tenant, funnel, gateway in owners
    ]


def _quarantined(session: Session, tenant: str | None) -> int:
    try:
        return len(session.get("/api/v1/quarantine", tenant=tenant, limit=MOST)["deliveries"])
    except ApiRefused:  # an API without the keys that open it
        return 0
