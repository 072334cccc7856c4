"""Why an event's match is what it is and what its deliveries wait for, as stable words with
parameters. Pure.

Sentences are for whoever shows them: `sinal explain`, a console, an agent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sinal_crds.plan import FunnelPlan, MatchingPlan, TenantPlan
from sinal_hub.model.evidence import Agreement, Subject
from sinal_hub.model.signals import ADDRESS_WINDOW_MS, HOUR_MS, OWN
from sinal_hub.store.evidence import Evidence, Note, Param
from sinal_hub.store.reading import Delivery, EventDetail, MatchDetail
from sinal_hub.store.tenant_status import DestinationDelivery as Facts

DAY_S = 86_400
BY_PERSON = "review_"  # how rules begin that a person's word made
WAITING = ("pending", "sending")


def notes(
    event: EventDetail, evidence: Evidence, tenant: TenantPlan | None, now: datetime
) -> list[Note]:
    """What the match of a sale lacks, and what the event as a whole waits for."""
    found: list[Note] = []
    funnel = (
        next((one for one in tenant.funnels if one.name == event.funnel), None) if tenant else None
    )
    match, subject = event.match, evidence.subject
    if (
        match is not None
        and subject is not None
        and match.decision != "match"
        and not match.rule.startswith(BY_PERSON)
    ):
        found += _lacking(
            event, match, subject, evidence, funnel.matching if funnel else MatchingPlan()
        )
    if (
        event.outcome.state == "in_flight"
        and not event.deliveries
        and evidence.hold_until is not None
    ):
        over = evidence.hold_until <= now
        found.append(_note("waits_for_click", until=None if over else _moment(evidence.hold_until)))
    return found + list(_unserved(event, tenant, funnel)) + list(_kept_back(event, evidence))


def _kept_back(event: EventDetail, evidence: Evidence) -> Iterator[Note]:
    """What Sinal gave up by itself, with the field and the way out.

    What Meta said stands in the attempts.
    """
    refused = {one.destination for one in event.deliveries if _refused_by_meta(one)}
    for letter in evidence.letters:
        if letter.detail and letter.destination not in refused:
            yield _note(
                "kept_back",
                destination=letter.destination,
                reason=letter.reason,
                detail=letter.detail,
            )


def _refused_by_meta(delivery: Delivery) -> bool:
    attempts = delivery.attempts if isinstance(delivery.attempts, list) else []
    return bool(attempts) and attempts[-1].outcome in ("refused", "in_doubt")


def _unserved(
    event: EventDetail, tenant: TenantPlan | None, funnel: FunnelPlan | None
) -> Iterator[Note]:
    reason = event.outcome.reason
    if reason == "suspended" and tenant is not None and not tenant.suspended:
        yield _note("suspended_no_more", tenant=event.tenant)
    if reason == "no_destination" and funnel is not None and funnel.destinations:
        yield _note("destinations_now", destinations=", ".join(funnel.destinations))


def _lacking(
    event: EventDetail, match: MatchDetail, subject: Subject, evidence: Evidence, plan: MatchingPlan
) -> Iterator[Note]:
    gateway, days = event.gateway, plan.click_window_s // DAY_S
    since = datetime.fromtimestamp(subject.bought_at / 1000, UTC) - timedelta(
        seconds=plan.click_window_s
    )
    if evidence.page_at is None or evidence.page_at < since:
        yield _note("no_visits", days=days, funnel=event.funnel, last_at=_moment(evidence.page_at))
    if not subject.click_ids and not subject.session_ids:
        yield _note("click_id_absent", gateway=gateway)
    elif not _agrees(match, "click_id") and not _agrees(match, "session_id"):
        yield _note(
            "click_id_unknown",
            click_id=next(iter(subject.click_ids + subject.session_ids)),
            days=days,
        )
    for name, given, at in (
        ("email", subject.emails, evidence.email_at),
        ("phone", subject.phones, evidence.phone_at),
    ):
        if not given:
            yield _note(f"{name}_absent", gateway=gateway)
        elif at is None or at < since:
            yield _note(f"{name}_unseen", days=days, last_at=_moment(at))
    yield from _network(match, subject, evidence, gateway)
    if isinstance(match.rivals, int) and match.rivals:
        yield _note("rivals", visitors=match.rivals + 1)
    if match.rule not in (*OWN, "email") and (
        _disagrees(match, "email") or _disagrees(match, "phone")
    ):
        yield _note("other_email")
    needed = plan.match_threshold if match.decision == "review" else plan.review_threshold
    if match.score:
        yield _note("below_threshold", score=match.score, needed=needed, decision=match.decision)


def _network(
    match: MatchDetail, subject: Subject, evidence: Evidence, gateway: str | None
) -> Iterator[Note]:
    if not subject.ips:
        yield _note("address_absent", gateway=gateway)
        return
    if not evidence.address_seen:
        yield _note("address_unseen", hours=ADDRESS_WINDOW_MS // HOUR_MS)
        return
    if not subject.user_agents:
        yield _note("browser_absent", gateway=gateway)
    if isinstance(match.visitors, int) and match.visitors > 1:
        weight = next(
            (one.weight for one in _signals(match) if one.name in ("ip", "ip_user_agent")), None
        )
        yield _note("address_shared", visitors=match.visitors, weight=weight)


def waiting(
    delivery: Delivery, facts: Facts | None, tenant: TenantPlan | None, now: datetime
) -> tuple[Note | None, datetime | None]:
    """Why a delivery was not sent yet and when it is tried next.

    None for any moment now, or never.
    """
    if delivery.state not in WAITING:
        return None, None
    due = (
        delivery.next_at
        if isinstance(delivery.next_at, datetime) and delivery.next_at > now
        else None
    )
    # What only a person can end goes before any time: a time would promise what does not come.
    if (held := _held(delivery, tenant)) is not None:
        return held, None
    if facts is not None and facts.open is not None:
        opens = (
            facts.open_until if facts.open_until is not None and facts.open_until > now else None
        )
        return _note("breaker_open", reason=facts.reason, code=facts.code), max(
            filter(None, (due, opens)), default=None
        )
    return _tried(delivery, due), due


def _held(delivery: Delivery, tenant: TenantPlan | None) -> Note | None:
    """What no time changes, or what is going on at this moment."""
    plan = tenant.destination(delivery.destination) if tenant is not None else None
    if tenant is None or plan is None:
        return _note("destination_gone")
    if tenant.rests(plan) and delivery.state != "sending":
        return _note("suspended", what="tenant" if tenant.suspended else "destination")
    if not plan.access_token:
        return _note("no_token", problem=plan.problem)
    return _note("sending") if delivery.state == "sending" else None


def _tried(delivery: Delivery, due: datetime | None) -> Note:
    """What its tries so far say."""
    last = (
        delivery.attempts[-1] if isinstance(delivery.attempts, list) and delivery.attempts else None
    )
    if last is None:
        return _note("queued")
    if last.outcome == "throttled":
        return _note("throttled", code=last.code)
    if due is not None:
        return _note(
            "backing_off", attempts=last.number, http_status=last.http_status, code=last.code
        )
    return _note("due", attempts=last.number)


def _signals(match: MatchDetail) -> list[Agreement]:
    return match.signals if isinstance(match.signals, list) else []


def _agrees(match: MatchDetail, name: str) -> bool:
    return any(one.name == name and one.agrees for one in _signals(match))


def _disagrees(match: MatchDetail, name: str) -> bool:
    return any(one.name == name and not one.agrees for one in _signals(match))


def _note(code: str, /, **params: Param) -> Note:
    return Note(code=code, params=params)


def _moment(at: datetime | None) -> str | None:
    return (
        None
        if at is None
        else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )
