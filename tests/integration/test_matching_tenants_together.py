"""Batches of several tenants in one transaction: each gets what it would have got alone, and pays
for no other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from sinal_core.nats.lane import match_lane
from sinal_hub.matching.worker import MatchWorker
from sinal_hub.model.events import Event, UserData, event_row_id, meta_event_id
from sinal_hub.model.sale import Customer, Tracking

from tests.support.fix_matching import EMAIL, Room, Settlements, tenant_plan

ACK, NAK = b"+ACK", b"-NAK"


def of(tenant: str, event: Event) -> Event:
    """The same event as it happens to another tenant."""
    return msgspec.structs.replace(event, tenant=tenant, id=event_row_id(tenant, event.key))


class Shared:
    """A worker with one transaction at a time: what comes together shares it."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.worker = MatchWorker(
            room.database,
            room.bus,
            room.plans,
            clock=lambda: room.now[0],
            transactions=1,
            most=1_000,
        )

    def add(self, *tenants: str) -> None:
        """Tenants like the room's own."""
        for tenant in tenants:
            self.room.plans.snapshot.tenants[tenant] = msgspec.structs.replace(
                tenant_plan(), slug=tenant, uid=tenant
            )

    async def deliver(
        self, batches: Mapping[str, Sequence[Event]], *, deliveries: int = 1
    ) -> dict[str, list[bytes]]:
        """Each tenant's batch at the same time; returns the answers by tenant."""
        answers = {tenant: Settlements() for tenant in batches}
        await asyncio.gather(
            *(
                self.worker.handle(
                    match_lane(tenant),
                    [
                        self.room.message(event, deliveries=deliveries, settlements=answers[tenant])
                        for event in events
                    ],
                )
                for tenant, events in batches.items()
            )
        )
        return {tenant: list(one.answers) for tenant, one in answers.items()}


@pytest.fixture
def shared(room: Room) -> Shared:
    one = Shared(room)
    one.add("primeira", "segunda", "terceira", "quarta")
    return one


TENANTS = ("primeira", "segunda", "terceira", "quarta")


async def test_the_same_people_and_orders_of_several_tenants_stay_apart(
    room: Room, shared: Shared
) -> None:
    click = room.visit(click_id="c1", session_id="s1", user=UserData(em=[EMAIL]))
    sale = room.sale(tracking=Tracking(click_id="c1"), customer=Customer(em=[EMAIL]))
    answers = await shared.deliver(
        {tenant: [of(tenant, click), of(tenant, sale)] for tenant in TENANTS}
    )
    assert answers == {tenant: [ACK, ACK] for tenant in TENANTS}
    sent = await room.rows("select tenant_id, event_id from capi_events order by tenant_id")
    wanted = {
        tenant: meta_event_id(tenant, "HP1", "Purchase", "297.00", "BRL") for tenant in TENANTS
    }
    assert {row["tenant_id"]: row["event_id"] for row in sent} == wanted
    assert len(sent) == len(TENANTS)
    for table in ("clicks", "sessions", "conversions", "identities"):
        counted = await room.rows(
            f"select tenant_id, count(*) as n from {table} group by tenant_id"
        )
        assert {row["tenant_id"]: row["n"] for row in counted} == dict.fromkeys(TENANTS, 1), table
    matches = await room.rows("select tenant_id, decision, rule_applied from matches")
    assert {(row["tenant_id"], row["decision"], row["rule_applied"]) for row in matches} == {
        (tenant, "match", "click_id") for tenant in TENANTS
    }


async def test_a_click_of_one_tenant_is_no_candidate_for_a_sale_of_another(
    room: Room, shared: Shared
) -> None:
    click = room.visit(click_id="c1", user=UserData(em=[EMAIL]))
    sale = room.sale(tracking=Tracking(click_id="c1"), customer=Customer(em=[EMAIL]))
    await shared.deliver({"primeira": [of("primeira", click)]})
    batches = {
        "quarta": [of("quarta", room.visit())],
        **{t: [of(t, sale)] for t in ("primeira", "segunda")},
    }
    await shared.deliver(batches)
    found = await room.rows("select tenant_id, decision from matches")
    assert {row["tenant_id"]: row["decision"] for row in found} == {
        "primeira": "match",
        "segunda": "unmatched",
    }


async def test_a_poisoned_message_of_one_tenant_costs_no_other(room: Room, shared: Shared) -> None:
    good = room.visit("lead", user=UserData(em=[EMAIL]))
    poison = room.visit("lead", url="https://loja.example/\x00", user=UserData(em=[EMAIL]))
    batches = {tenant: [of(tenant, good)] for tenant in TENANTS}
    batches["terceira"] = [of("terceira", good), of("terceira", poison)]
    answers = await shared.deliver(batches)
    assert answers.pop("terceira") == [ACK, NAK]
    assert answers == {tenant: [ACK] for tenant in TENANTS if tenant != "terceira"}
    sent = await room.rows("select tenant_id from capi_events")
    assert sorted(row["tenant_id"] for row in sent) == sorted(TENANTS)


async def test_a_repeat_in_one_tenant_is_none_in_another(room: Room, shared: Shared) -> None:
    lead = msgspec.structs.replace(room.visit("lead", user=UserData(em=[EMAIL])), natural_key=True)
    await shared.deliver({"segunda": [of("segunda", lead)]})
    await shared.deliver({tenant: [of(tenant, lead)] for tenant in TENANTS})
    found = await room.rows("select tenant_id, repeats from events")
    assert {row["tenant_id"]: row["repeats"] for row in found} == {
        **dict.fromkeys(TENANTS, 0),
        "segunda": 1,
    }
    assert len(found) == len(TENANTS)


@pytest.mark.parametrize("seed", range(4))
async def test_together_or_alone_comes_to_the_same(room: Room, shared: Shared, seed: int) -> None:
    alone = tuple(f"{tenant}-so" for tenant in TENANTS)
    shared.add(*alone)
    rng = random.Random(seed)
    stories = [_story(room, rng) for _ in TENANTS]
    for start in range(0, 24, 6):
        parts = [story[start : start + 6] for story in stories]
        together = {
            t: [of(t, event) for event in part] for t, part in zip(TENANTS, parts, strict=True)
        }
        await shared.deliver(together)
        for tenant, part in zip(alone, parts, strict=True):
            await shared.deliver({tenant: [of(tenant, event) for event in part]})
    for one, other in zip(TENANTS, alone, strict=True):
        assert await _traces(room, one) == await _traces(room, other)


def _story(room: Room, rng: random.Random) -> list[Event]:
    """Visits, leads and sales of few people, in any sequence, some of them twice."""
    events = []
    for number in range(20):
        who = rng.randrange(4)
        person = UserData(em=[f"{who}" * 64])
        at = float(rng.randrange(-60, 60))
        match rng.randrange(4):
            case 0:
                events.append(
                    room.visit(click_id=f"c{who}", session_id=f"s{who}", at=at, consent_ads=None)
                )
            case 1:
                events.append(
                    room.visit(
                        "lead", user=person, at=at, key=f"lead-{who}-{number}", natural_key=True
                    )
                )
            case 2:
                events.append(room.visit("pageview", fbclid=f"F{who}", ip=f"189.1.1.{who}", at=at))
            case _:
                status = rng.choice(["pending", "approved", "refunded"])
                tracking = Tracking(click_id=f"c{who}") if rng.random() < 0.5 else Tracking()
                customer = Customer(em=[f"{who}" * 64])
                events.append(
                    room.sale(status, order=f"O{who}", at=at, tracking=tracking, customer=customer)
                )
    return events + rng.sample(events, 4)


async def _traces(room: Room, tenant: str) -> dict[str, list[dict[str, Any]]]:
    """What a tenant's events left, without numbers and ids that name the tenant."""
    queries = {
        "events": "select kind, status, order_id, click_id, outcome, reason, repeats from events "
        "where tenant_id = %s "
        "order by occurred_at, kind, status, order_id, click_id, outcome, reason, repeats",
        "sent": "select event_name, event_time, payload_json::jsonb - 'event_id' as payload, "
        "published_at is null as open from capi_events where tenant_id = %s "
        "order by event_time, event_name, payload_json::jsonb - 'event_id'",
        "orders": "select order_key, status, amount, currency, email_hash, recheck_at from "
        "conversions "
        "where tenant_id = %s order by order_key",
        "matches": "select c.order_key, left(m.click_id, 2) as click, m.decision, m.rule_applied, "
        "m.confidence_score from matches m "
        "join conversions c on c.id = m.conversion_id where m.tenant_id = %s order by c.order_key",
        "clicks": "select session_id, fbclid, ip, ts, last_seen_at, user_data from clicks where "
        "tenant_id = %s "
        "order by ts, session_id, fbclid, ip, last_seen_at, user_data::text",
        "identities": "select email_hash, first_seen_at, last_seen_at from identities where "
        "tenant_id = %s "
        "order by email_hash, first_seen_at, last_seen_at",
        "open": "select key, last_at from open_orders where tenant_id = %s order by key, last_at",
    }
    return {name: await room.rows(query, tenant) for name, query in queries.items()}
