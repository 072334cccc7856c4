"""Signal coverage as a metric: the same shares as the operations API tells, and the click behind a
sale.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from sinal_hub.model.sale import Client, Customer, Tracking
from sinal_hub.status.coverage import SignalCoverage
from sinal_hub.store.signal_coverage import SIGNALS, SignalCoverageStore

from tests.support.fix_matching import AGENT
from tests.support.fix_operations import ApiRig


def shown() -> dict[str, float | None]:
    name = "sinal_signal_coverage_ratio"
    return {
        one: REGISTRY.get_sample_value(name, {"tenant": "loja", "signal": one}) for one in SIGNALS
    }


async def sales(rig: ApiRig) -> None:
    """Four sales: two with their clicks, one of these with the buyer's browser, one with a
    phone.
    """
    room = rig.room
    await room.deliver(
        room.visit(click_id="c1", fbp="fb.1.1700000000000.1098115397"), room.visit(click_id="c2")
    )
    await room.deliver(
        room.sale(
            order="HP1",
            tracking=Tracking(click_id="c1"),
            client=Client(ip="177.10.20.30", user_agent=AGENT),
        ),
        room.sale(order="HP2", tracking=Tracking(click_id="c2")),
        room.sale(order="HP3", customer=Customer(em=["b" * 64], ph=["c" * 64])),
        room.sale(order="HP4", customer=Customer(em=["d" * 64])),
    )


async def test_shares_of_sales_are_those_of_the_api(api_rig: ApiRig) -> None:
    await sales(api_rig)
    coverage = SignalCoverage(SignalCoverageStore(api_rig.database))
    await coverage.look()
    found = shown()
    assert found["em"] == 1.0
    assert (found["ph"], found["fbp"], found["click_id"]) == (0.25, 0.25, 0.5)
    told = (await api_rig.call("GET", "/api/v1/tenants/loja/signal-coverage")).json()["all"][
        "signals"
    ]
    common = set(SIGNALS) & set(told)
    assert common == set(SIGNALS) - {"click_id"}
    assert {one: found[one] for one in common} == {one: pytest.approx(told[one]) for one in common}


async def test_a_tenant_without_sales_in_the_window_has_no_share(api_rig: ApiRig) -> None:
    await sales(api_rig)
    now = [datetime.now(UTC)]
    coverage = SignalCoverage(SignalCoverageStore(api_rig.database), clock=lambda: now[0])
    await coverage.look()
    assert shown()["em"] == 1.0
    now[0] += timedelta(hours=25)
    await coverage.look()
    assert set(shown().values()) == {None}
