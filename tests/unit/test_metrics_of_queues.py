"""What waits is shown by tenant and role, goes to 0 when it is worked off, and disappears with its
tenant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import pytest
from prometheus_client import REGISTRY

from sinal_core.nats import BusUnavailable, Depth, Survey
from sinal_crds.plan import IntegrationPlan, TenantPlan
from sinal_hub.status.queues import Queues

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def plan(slug: str, *suspended: bool) -> TenantPlan:
    """A tenant with integrations, of which some are suspended."""
    hooks = (
        IntegrationPlan(
            name=f"h{number}",
            gateway="hotmart",
            funnel="curso",
            token_sha256=f"{number}",
            suspended=one,
        )
        for number, one in enumerate(suspended)
    )
    return TenantPlan(
        slug=slug, namespace="default", name=slug, uid=slug, integrations=tuple(hooks)
    )


@dataclass
class World:
    """Broker, plans and clock of a test."""

    waiting: list[Depth] = field(default_factory=list)
    tenants: dict[str, TenantPlan] = field(
        default_factory=lambda: {slug: plan(slug) for slug in ("q-loja", "q-outra")}
    )
    away: bool = False

    @property
    def snapshot(self) -> World:
        return self

    def time(self) -> float:
        return NOW.timestamp()

    async def survey(self, *, ages: bool = False) -> Survey:
        assert ages
        if self.away:
            raise BusUnavailable("away")
        return Survey({}, self.waiting)


def shown(tenant: str, role: str) -> tuple[float | None, float | None]:
    labels = {"tenant": tenant, "role": role}
    names = ("sinal_queue_depth", "sinal_queue_oldest_seconds")
    return (
        REGISTRY.get_sample_value(names[0], labels),
        REGISTRY.get_sample_value(names[1], labels),
    )


def at(second: int) -> datetime:
    return NOW.replace(hour=11, minute=59, second=second)


async def test_lanes_of_a_role_are_one_queue() -> None:
    world = World(
        [
            Depth("q-loja", "match", 3, 2, at(30)),
            Depth("q-loja", "dispatch-a", 4, 0, at(50)),
            Depth("q-loja", "dispatch-b", 0, 1, at(40)),
            Depth("q-outra", "match", 0, 0),
        ]
    )
    await Queues(world, world, clock=world).look()
    assert shown("q-loja", "match") == (5, 30)
    assert shown("q-loja", "dispatch") == (5, 20)
    assert shown("q-outra", "match") == (None, None)


async def test_an_empty_queue_shows_nothing_waiting_and_a_gone_tenant_nothing_at_all() -> None:
    world = World([Depth("q-loja", "match", 1, 0, at(0)), Depth("q-outra", "match", 1, 0, at(0))])
    queues = Queues(world, world, clock=world)
    await queues.look()
    world.waiting, world.tenants = [], {"q-loja": plan("q-loja")}
    await queues.look()
    assert shown("q-loja", "match") == (0, 0)
    assert shown("q-outra", "match") == (None, None)


async def test_an_absent_broker_is_not_an_empty_queue() -> None:
    world = World([Depth("q-loja", "match", 7, 0, at(0))])
    queues = Queues(world, world, clock=world)
    await queues.look()
    world.away = True
    with pytest.raises(BusUnavailable):
        await queues.look()
    assert shown("q-loja", "match") == (7, 60)


async def test_whose_integrations_are_suspended_is_shown_while_they_are() -> None:
    def counted(tenant: str) -> float | None:
        return REGISTRY.get_sample_value("sinal_integrations_suspended", {"tenant": tenant})

    world = World(
        tenants={"q-loja": plan("q-loja", True, False, True), "q-outra": plan("q-outra", False)}
    )
    queues = Queues(world, world, clock=world)
    await queues.look()
    assert (counted("q-loja"), counted("q-outra")) == (2, None)
    world.tenants = {
        "q-outra": msgspec.structs.replace(plan("q-outra", False, False), suspended=True)
    }
    await queues.look()
    assert (counted("q-loja"), counted("q-outra")) == (None, 2)
    world.tenants = {}
    await queues.look()
    assert counted("q-outra") is None
