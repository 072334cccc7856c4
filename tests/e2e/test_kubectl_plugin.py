"""`kubectl sinal` at the installed release: each command finds the API and reaches it through a
kubelet.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cluster.support.plugin import SCRIPTS, Plugin
from tests.cluster.support.waiting import until
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.shop import PIXELS, Shop

TENANT = ("--tenant", "loja")


@pytest.fixture(scope="module")
def sinal(cluster: Cluster) -> Plugin:
    """The plugin with nothing said: the Service and the key are found in the cluster."""
    return Plugin(cluster.kubeconfig, f"{SCRIPTS}:{os.environ['PATH']}")


def test_status_says_that_all_is_ready(sinal: Plugin, shop: Shop) -> None:
    until(
        lambda: {row["ready"] for row in sinal.lines("status", "-n", "loja")} == {"True"},
        timeout_s=60,
    )
    rows = sinal.lines("status", "-A")
    assert {row["kind"] for row in rows} == {
        "Tenant",
        "Destination",
        "Funnel",
        "GatewayIntegration",
    }
    assert {row["namespace"] for row in rows} == {"loja"}


def test_doctor_finds_nothing_wrong(sinal: Plugin, shop: Shop) -> None:
    findings = sinal.lines("doctor")
    assert {one["grade"] for one in findings} == {"ok"}, findings
    assert {"services", "clocks", "tokens"} <= {one["area"] for one in findings}


def test_events_are_seen_as_they_come_and_told_afterwards(sinal: Plugin, shop: Shop) -> None:
    with shop.traffic(per_second=5) as traffic:
        seen = sinal.lines("events", "tail", *TENANT, "--kind", "sale", "--limit", "5")
    shop.prove(traffic)
    assert {event["order_id"] for event in seen} <= traffic.accepted
    order = seen[0]["order_id"]
    (event,) = sinal.lines("explain", order, "--json")
    assert event["id"] in {one["id"] for one in seen if one["order_id"] == order}
    assert sinal.lines("events", "show", event["id"]) == [event]
    code, told, err = sinal("explain", order)
    assert code == 0, err
    assert f"Order {order} of tenant loja" in told
    assert "So it was delivered." in told


def test_what_meta_refused_is_sent_again(sinal: Plugin, shop: Shop) -> None:
    """Meta refuses sales for a while: they are dead letters.

    Looked at first, then replayed, they arrive.
    """
    began = datetime.now(UTC).isoformat()
    shop.fault(kind="error", pixel=PIXELS["pixel-principal"], event_name="Purchase")
    try:
        with shop.traffic(per_second=5) as traffic:
            traffic.wait_for(3)
        dead = until(lambda: all_dead(sinal, traffic.accepted, began), timeout_s=120, pause_s=1)
    finally:
        shop.heal()
    which = (*TENANT, "--outcome", "dead", "--since", began, "--destination", "pixel-principal")
    (looked,) = sinal.lines("replay", *which, "--dry-run")
    assert (looked["dry_run"], looked["matched"]) == (True, len(dead))
    assert all_dead(sinal, traffic.accepted, began), "a dry run sent something"
    (sent,) = sinal.lines("replay", *which)
    assert (sent["dry_run"], sent["replayed"]) == (False, len(dead)), sent
    assert shop.prove(traffic).missing == {}


def all_dead(sinal: Plugin, orders: set[str], since: str) -> list[dict[str, Any]]:
    """The events of the orders, if every one of them was given up."""
    events = [
        event for order in sorted(orders) for event in sinal.lines("explain", order, "--json")
    ]
    return events if all(event["outcome"]["state"] == "dead" for event in events) else []
