"""What is told of a tenant: from rows and depths to facts, and how a destination's trouble is
named.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.nats.depth import Depth
from sinal_crds.plan import DestinationPlan, FunnelPlan, IntegrationPlan, TenantPlan
from sinal_crds.tenant_status import (
    ObservedDestination,
    ObservedTenant,
    UnknownStatusVersion,
    decode,
    encode,
)
from sinal_hub.status.measurements import coarse, compose, lanes
from sinal_hub.store.tenant_status import (
    Decided,
    DestinationDelivery,
    DestinationKey,
    Sighting,
    Sights,
    Tallied,
    Volume,
)

NOW = datetime(2026, 11, 24, 20, 15, 40, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60 * 60
PLAN = TenantPlan(
    slug="loja",
    namespace="n",
    name="loja",
    uid="u",
    destinations=(DestinationPlan(name="pixel", pixel_id="12345678", access_token="t"),),
    funnels=(
        FunnelPlan(name="curso", type="DirectSale", public_key="fk", server_key_sha256=""),
        FunnelPlan(name="outro", type="DirectSale", public_key="fk", server_key_sha256=""),
    ),
    integrations=(
        IntegrationPlan(name="vendas", gateway="hotmart", funnel="curso", token_sha256=""),
    ),
)


def told(*, plan: TenantPlan = PLAN, depths: tuple[Depth, ...] = (), **rows: Any) -> ObservedTenant:
    return compose({plan.slug: plan}, Sights(**rows), depths, now=NOW)[plan.slug]


def destination(
    *, depths: tuple[Depth, ...] = (), plan: TenantPlan = PLAN, **row: Any
) -> ObservedDestination:
    delivery = DestinationDelivery(tenant="loja", destination="pixel", **row)
    return told(plan=plan, depths=depths, deliveries=[delivery]).destinations["pixel"]


def ago(**amount: float) -> datetime:
    return NOW - timedelta(**amount)


def test_a_tenant_of_which_nothing_is_known_has_facts_all_the_same() -> None:
    facts = told()
    assert (facts.backlog, facts.events_24h, facts.match_percent, facts.last_event) == (
        0,
        0,
        None,
        None,
    )
    assert set(facts.destinations) == {"pixel"}
    assert set(facts.funnels) == {"curso", "outro"}
    assert set(facts.integrations) == {"vendas"}


def test_every_figure_stands_with_its_object_and_the_tenant_has_the_sums() -> None:
    def seen(funnel: str, integration: str, at: datetime) -> Sighting:
        return Sighting(tenant="loja", funnel=funnel, integration=integration, last_at=at)

    facts = told(
        sightings=[
            seen("curso", "", ago(minutes=5)),
            seen("curso", "vendas", ago(minutes=9)),
            seen("gone", "", NOW),
        ],
        volumes=[
            Volume(tenant="loja", funnel="curso", events=40),
            Volume(tenant="loja", funnel="outro", events=2),
        ],
        decisions=[Decided(tenant="loja", funnel="curso", decided=3, matched=2)],
        tallies=[
            Tallied(tenant="loja", integration="vendas", rejects=4, drift=1, last_at=ago(minutes=2))
        ],
        deliveries=[
            DestinationDelivery(
                tenant="loja", destination="pixel", last_success=ago(minutes=1), dead_letters=7
            )
        ],
        depths=(
            Depth("loja", "match", 2, 1),
            Depth("loja", "dispatch-pixel", 5, 0),
            Depth("other", "match", 9, 9),
        ),
    )
    assert (facts.backlog, facts.events_24h, facts.match_percent, facts.last_event) == (
        8,
        42,
        66.7,
        MINUTE,
    )
    curso, outro = facts.funnels["curso"], facts.funnels["outro"]
    assert (curso.events_24h, curso.match_percent, curso.last_event) == (40, 66.7, MINUTE - 300)
    assert (outro.events_24h, outro.match_percent, outro.last_event) == (2, None, None)
    vendas = facts.integrations["vendas"]
    assert (vendas.last_delivery, vendas.rejects, vendas.drift) == (MINUTE - 120, 4, 1)
    pixel = facts.destinations["pixel"]
    assert (pixel.backlog, pixel.last_success, pixel.dead_letters, pixel.trouble) == (
        5,
        MINUTE - 60,
        7,
        None,
    )


@pytest.mark.parametrize(
    ("row", "trouble"),
    [
        ({"verdict": "delivered"}, None),
        ({"verdict": "credential", "code": 190, "subcode": 460}, "token"),
        ({"verdict": "credential", "code": 200}, "permission"),
        ({"verdict": "configuration", "code": 100, "subcode": 33}, "setup"),
        ({"verdict": "retry", "code": 2}, None),
        ({"verdict": "retry", "code": 2, "open": True, "reason": "retry"}, "service"),
        ({"verdict": "retry", "code": 2, "open": False, "reason": "retry"}, "service"),
        ({"verdict": "throttle", "code": 4, "last_success": ago(minutes=5)}, None),
        ({"verdict": "throttle", "code": 4, "last_success": ago(minutes=20)}, "throttled"),
        ({"verdict": "data", "recently_dead": 9}, None),
        ({"verdict": "data", "recently_dead": 10, "recently_delivered": 10}, None),
        ({"verdict": "data", "recently_dead": 11, "recently_delivered": 10}, "rejected"),
    ],
)
def test_a_trouble_follows_from_what_meta_said_and_how_it_went(
    row: dict[str, Any], trouble: str | None
) -> None:
    assert destination(**row).trouble == trouble


def test_metas_code_is_told_where_it_is_the_trouble_and_nowhere_else() -> None:
    assert destination(verdict="credential", code=190, subcode=460).code == 190
    assert destination(verdict="data", code=100).code is None


def test_events_that_wait_while_nobody_asks_meta_are_stalled() -> None:
    old = Depth("loja", "dispatch-pixel", 3, 0, oldest_at=ago(minutes=20))
    assert destination(depths=(old,)).trouble == "stalled"
    assert destination(depths=(old,), answered_at=ago(minutes=1), verdict="retry").trouble is None
    assert (
        destination(
            depths=(Depth("loja", "dispatch-pixel", 3, 0, oldest_at=ago(minutes=2)),)
        ).trouble
        is None
    )


def test_a_breaker_is_told_as_it_stands() -> None:
    assert destination().breaker == "Closed"
    assert destination(open=True, reason="retry").breaker == "Open"
    assert destination(open=False, reason="retry").breaker == "HalfOpen"


def test_a_suspended_tenant_has_no_trouble_and_is_not_silent() -> None:
    suspended = msgspec.structs.replace(PLAN, suspended=True)
    assert destination(plan=suspended, verdict="credential", code=190).trouble is None
    assert told(quiet=frozenset({"loja"})).silent
    assert not told(plan=suspended, quiet=frozenset({"loja"})).silent


def test_every_destination_that_is_planned_is_looked_at() -> None:
    assert lanes({"loja": PLAN}) == [DestinationKey("loja", "pixel")]


@given(st.integers(0, 10**12))
def test_a_coarse_count_is_near_never_more_and_changes_rarely(count: int) -> None:
    told_as = coarse(count)
    assert told_as <= count
    assert count - told_as < max(1, count / 100)
    assert coarse(told_as) == told_as
    assert len({coarse(count + more) for more in range(10)}) <= (2 if count >= 10_000 else 11)


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0, 59))
def test_seconds_within_a_minute_are_no_news(waiting: int, events: int, later: float) -> None:
    def at(moment: datetime) -> ObservedTenant:
        last = moment.replace(second=0) + timedelta(seconds=later)
        rows = Sights(
            sightings=[Sighting(tenant="loja", funnel="curso", integration="", last_at=last)],
            volumes=[Volume(tenant="loja", funnel="curso", events=events)],
        )
        return compose({"loja": PLAN}, rows, [Depth("loja", "match", waiting, 0)], now=moment)[
            "loja"
        ]

    assert encode(at(NOW)) == encode(at(NOW + timedelta(seconds=10)))


def test_an_entry_comes_back_as_it_was_and_one_of_another_version_is_refused() -> None:
    facts = told(
        deliveries=[
            DestinationDelivery(tenant="loja", destination="pixel", verdict="credential", code=190)
        ]
    )
    assert decode(encode(facts)) == facts
    assert decode(encode(facts)[:-1] + b',"later":[1]}') == facts
    for entry in (b'{"v":2}', b"", b"[]", b"\xff"):
        with pytest.raises(UnknownStatusVersion):
            decode(entry)


def test_a_suspended_destination_has_no_trouble_and_shut_funnels_are_not_silent() -> None:
    pixel, funnel = PLAN.destinations[0], PLAN.funnels[0]
    resting = msgspec.structs.replace(
        PLAN, destinations=(msgspec.structs.replace(pixel, suspended=True),)
    )
    assert destination(plan=resting, verdict="credential", code=190).trouble is None
    shut = msgspec.structs.replace(PLAN, funnels=(msgspec.structs.replace(funnel, suspended=True),))
    assert not told(plan=shut, quiet=frozenset({"loja"})).silent
    half = msgspec.structs.replace(
        shut, funnels=(*shut.funnels, msgspec.structs.replace(funnel, name="other"))
    )
    assert told(plan=half, quiet=frozenset({"loja"})).silent
