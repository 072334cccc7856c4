"""Plans without a Tenant are told once and counted, those of other installations' namespaces
never.
"""

from __future__ import annotations

import pytest

from sinal_crds.sealing import PlanHolder
from sinal_operator.cluster.orphans import Orphans
from sinal_operator.metrics import ORPHANED_PLANS

LEFT = PlanHolder(slug="left", uid="uid-1", namespace="a", name="left")
KEPT = PlanHolder(slug="kept", uid="uid-2", namespace="a", name="kept")
ELSEWHERE = PlanHolder(slug="else", uid="uid-3", namespace="b", name="else")


def count() -> float:
    (family,) = ORPHANED_PLANS.collect()
    return float(family.samples[0].value)


def test_a_plan_without_its_tenant_is_told_once_with_the_way_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    orphans = Orphans()
    for _ in range(2):
        assert orphans.look([LEFT, KEPT], {"uid-2"}) == {LEFT}
    (line,) = [record.getMessage() for record in caplog.records]
    assert "plan left is in force, and its Tenant a/left is not there" in line
    assert "nats kv del sinal_plans left" in line
    assert count() == 1
    assert orphans.look([KEPT], {"uid-2"}) == frozenset()
    assert count() == 0


def test_only_plans_of_the_namespaces_that_are_served_are_judged() -> None:
    assert Orphans(["a"]).look([LEFT, ELSEWHERE], ()) == {LEFT}
