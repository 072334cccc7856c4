"""What the drift loop looks at: what somebody told of, what is not as it should be, and everything
now and then.
"""

from __future__ import annotations

from typing import Any

import pytest

from sinal_core.nats.jetstream import Account
from sinal_operator.provision.resync_schedule import SWEEP_S, TURNS, ResyncSchedule

CALM = Account(streams=5, consumers=9)
SLUGS = tuple(f"t{n:03d}" for n in range(100))


class Client:
    """Remembers who listens to what."""

    is_closed = False

    def __init__(self) -> None:
        self.listeners: dict[str, Any] = {}

    async def subscribe(self, subject: str, *, cb: Any) -> Client:
        self.listeners[subject] = cb
        return self

    async def unsubscribe(self) -> None:
        self.listeners.clear()


class Message:
    """One of core NATS."""

    def __init__(self, subject: str, data: bytes = b"") -> None:
        self.subject, self.data = subject, data


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def outlook(clock: Clock | None = None) -> ResyncSchedule:
    found = ResyncSchedule(Client(), clock=clock or Clock())  # type: ignore[arg-type]
    found.everything(CALM)
    return found


async def told(subject: str, data: bytes = b"") -> frozenset[str]:
    """What is noted of a message on that subject."""
    client = Client()
    async with ResyncSchedule(client) as found:  # type: ignore[arg-type]
        listener = client.listeners[
            ".".join([*subject.split(".")[:5], "*", *["*"] * (subject.count(".") - 5)])
        ]
        await listener(Message(subject, data))
        asked, heard = found.asked, found.heard()
        assert asked == bool(heard)
    assert client.listeners == {}
    return heard


@pytest.mark.parametrize(
    ("subject", "slugs"),
    [
        ("$JS.EVENT.ADVISORY.STREAM.DELETED.T-loja", {"loja"}),
        ("$JS.EVENT.ADVISORY.STREAM.UPDATED.T-loja", {"loja"}),
        ("$JS.EVENT.ADVISORY.CONSUMER.DELETED.T-loja.match", {"loja"}),
        ("$JS.EVENT.ADVISORY.STREAM.DELETED.KV_sinal_plans", {""}),
        ("$JS.EVENT.ADVISORY.CONSUMER.DELETED.KV_sinal_plans.x8Vh", set()),
        ("$JS.EVENT.ADVISORY.STREAM.DELETED.ORDERS", set()),
    ],
)
async def test_an_advisory_names_the_tenant_to_look_at(subject: str, slugs: set[str]) -> None:
    assert await told(subject) == slugs


def test_at_rest_there_is_nothing_to_look_at() -> None:
    look = outlook().look((), (), CALM, SLUGS)
    assert not any(map(look.covers, SLUGS))


def test_what_was_told_and_what_is_not_done_is_looked_at_and_nothing_else() -> None:
    look = outlook().look({"t001"}, {"t002"}, CALM, SLUGS)
    assert {slug for slug in SLUGS if look.covers(slug)} == {"t001", "t002"}
    assert look.deep is True


def test_another_number_of_streams_or_consumers_is_a_reason_to_look_at_everything_once() -> None:
    found = outlook()
    other = Account(streams=5, consumers=8)
    assert all(map(found.look((), (), other, SLUGS).covers, SLUGS))
    assert not any(map(found.look((), (), other, SLUGS).covers, SLUGS))


def test_everything_is_looked_at_now_and_then_and_each_consumer_in_its_turn() -> None:
    clock = Clock()
    found = outlook(clock)
    deep: list[set[str]] = []
    for _ in range(TURNS):
        clock.now += 1.2 * SWEEP_S
        look = found.look((), (), CALM, SLUGS)
        assert look.slugs is None
        assert isinstance(look.deep, set)
        deep.append(look.deep)
    assert set().union(*deep) == set(SLUGS)
    assert max(map(len, deep)) <= len(SLUGS) // TURNS + 1


def test_a_round_that_failed_is_not_forgotten() -> None:
    found = outlook()
    found.again({"t001"})
    assert found.asked
    assert found.heard() == {"t001"}
    assert not found.asked
