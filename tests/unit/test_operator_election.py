"""One operator works at a time, whatever requests are slow, lost or refused.

And one always does in the end.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.leader_election import LeaderElection, LeaseTerms

from tests.support import virtual_time

Body = dict[str, Any]
TERMS = LeaseTerms()


class Server:
    """One Lease with versions, as the API server keeps it."""

    def __init__(self) -> None:
        self.lease: Body | None = None
        self._versions = itertools.count(1)
        self.requests = 0

    def get(self) -> Body | None:
        self.requests += 1
        return self.lease

    def put(self, body: Body, *, new: bool) -> Body:
        self.requests += 1
        if new == (self.lease is not None):
            raise ApiServerRefused(409 if new else 404, "lease", "exists" if new else "not found")
        if (
            self.lease
            and body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]
        ):
            raise ApiServerRefused(409, "lease", "the object has been modified")
        version = str(next(self._versions))
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return self.lease

    def edit(self, **spec: object) -> None:
        """As a person does."""
        assert self.lease is not None
        self.put({**self.lease, "spec": {**self.lease["spec"], **spec}}, new=False)

    @property
    def spec(self) -> Body:
        assert self.lease is not None
        spec: Body = self.lease["spec"]
        return spec


class Wire(ApiServerClient):
    """A candidate's way to the server; `trouble` says what happens to the next request."""

    def __init__(
        self, server: Server, trouble: Callable[[], tuple[float, str]] = lambda: (0.0, "")
    ) -> None:
        super().__init__()
        self.server, self.trouble = server, trouble

    async def _through(self, work: Callable[[], Any]) -> Any:
        delay_s, fate = self.trouble()
        await asyncio.sleep(delay_s)
        if fate == "lost":
            raise ApiServerUnreachable("lease: ClientConnectorError")
        if fate == "refused":
            raise ApiServerRefused(500, "lease", "etcdserver: request timed out")
        found = work()
        await asyncio.sleep(delay_s)
        if fate == "unanswered":
            raise ApiServerUnreachable("lease: ServerDisconnectedError")
        return found

    async def get(self, resource: Any, namespace: str, name: str) -> Any:
        return await self._through(self.server.get)

    async def create(self, resource: Any, namespace: str, body: Body) -> Any:
        return await self._through(lambda: self.server.put(body, new=True))

    async def replace(self, resource: Any, namespace: str, name: str, body: Body) -> Any:
        return await self._through(lambda: self.server.put(body, new=False))


def candidate(wire: Wire, identity: str = "a") -> LeaderElection:
    clock = asyncio.get_running_loop().time
    return LeaderElection(
        wire, namespace="sinal", name="sinal-operator", identity=identity, clock=clock
    )


def in_virtual_time(test: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        virtual_time.run(test())

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_the_first_takes_it_and_the_second_waits() -> None:
    server = Server()
    first, second = candidate(Wire(server), "a"), candidate(Wire(server), "b")
    await first.win()
    keeping = asyncio.create_task(first.keep())
    waiting = asyncio.create_task(second.win())
    await asyncio.sleep(300)
    assert first.holding
    assert not waiting.done()
    assert server.spec["holderIdentity"] == "a"
    assert server.spec["leaseTransitions"] == 0
    keeping.cancel()
    waiting.cancel()


@in_virtual_time
async def test_a_dead_holder_is_followed_when_its_term_is_over_and_not_before() -> None:
    server = Server()
    first, second = candidate(Wire(server), "a"), candidate(Wire(server), "b")
    await first.win()
    await asyncio.sleep(3)
    await second.win()
    now = asyncio.get_running_loop().time()
    assert 3 + TERMS.duration_s <= now <= 3 + TERMS.duration_s + 1.2 * TERMS.period_s
    assert not first.holding
    assert server.spec["leaseTransitions"] == 1


@in_virtual_time
async def test_a_released_lease_is_taken_at_the_next_look() -> None:
    server = Server()
    first, second = candidate(Wire(server), "a"), candidate(Wire(server), "b")
    await first.win()
    waiting = asyncio.create_task(second.win())
    await asyncio.sleep(5)
    await first.release()
    assert not first.holding
    await asyncio.wait_for(waiting, 1.2 * TERMS.period_s)
    assert server.spec["holderIdentity"] == "b"


@in_virtual_time
async def test_who_does_not_hold_it_releases_nothing() -> None:
    server = Server()
    first, second = candidate(Wire(server), "a"), candidate(Wire(server), "b")
    await first.win()
    await second.release()
    assert server.spec["holderIdentity"] == "a"


@in_virtual_time
async def test_without_the_api_server_a_holder_gives_up_at_its_deadline() -> None:
    server = Server()
    wire = Wire(server)
    found = candidate(wire)
    await found.win()
    wire.trouble = lambda: (0.0, "lost")
    await found.keep()
    assert asyncio.get_running_loop().time() == TERMS.deadline_s
    assert not found.reachable


@in_virtual_time
async def test_an_answer_that_never_comes_does_not_hold_a_holder_beyond_its_deadline() -> None:
    server = Server()
    wire = Wire(server)
    found = candidate(wire)
    await found.win()
    wire.trouble = lambda: (3_600.0, "")
    await found.keep()
    assert asyncio.get_running_loop().time() <= TERMS.deadline_s + TERMS.request_s
    assert not found.holding


@in_virtual_time
async def test_a_short_absence_costs_nothing() -> None:
    server = Server()
    wire = Wire(server)
    found = candidate(wire)
    await found.win()
    keeping = asyncio.create_task(found.keep())
    wire.trouble = lambda: (0.0, random.choice(("lost", "refused", "unanswered")))
    await asyncio.sleep(TERMS.deadline_s - TERMS.period_s - 0.5)
    wire.trouble = lambda: (0.0, "")
    await asyncio.sleep(60)
    assert found.holding
    keeping.cancel()


@in_virtual_time
async def test_a_holder_that_sees_another_one_ceases_at_once() -> None:
    server = Server()
    found = candidate(Wire(server))
    await found.win()
    server.edit(holderIdentity="b", renewTime="2026-01-01T00:00:00.000000Z")
    await found.keep()
    assert asyncio.get_running_loop().time() <= 2 * TERMS.period_s


@in_virtual_time
async def test_what_people_do_to_the_lease_does_not_depose_its_holder() -> None:
    server = Server()
    found = candidate(Wire(server))
    await found.win()
    keeping = asyncio.create_task(found.keep())
    await asyncio.sleep(10)
    server.edit(strategy="OldestEmulationVersion")
    await asyncio.sleep(10)
    server.lease = None
    await asyncio.sleep(10)
    assert found.holding
    assert server.spec["holderIdentity"] == "a"
    keeping.cancel()


@in_virtual_time
async def test_an_edited_lease_is_not_taken_for_a_living_holder() -> None:
    server = Server()
    first, second = candidate(Wire(server), "a"), candidate(Wire(server), "b")
    await first.win()
    waiting = asyncio.create_task(second.win())
    for _ in range(10):
        await asyncio.sleep(2)
        if not waiting.done():
            server.edit(strategy="OldestEmulationVersion")
    assert waiting.done(), "it waited for as long as somebody edited"


@in_virtual_time
async def test_a_holder_asks_once_a_period() -> None:
    server = Server()
    found = candidate(Wire(server))
    await found.win()
    before = server.requests
    keeping = asyncio.create_task(found.keep())
    await asyncio.sleep(60)
    assert server.requests - before <= 60 / TERMS.period_s
    keeping.cancel()


@pytest.mark.parametrize(
    ("status", "says"),
    [(403, "grant get, create and update of leases there"), (404, "correct SINAL_LEASE_NAMESPACE")],
)
def test_a_lease_that_cannot_be_used_is_told_once_with_the_way_out(
    status: int, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Closed(Wire):
        async def create(self, resource: Any, namespace: str, body: Body) -> Any:
            raise ApiServerRefused(
                status, "/apis/coordination.k8s.io/v1/namespaces/sinal/leases", "no"
            )

    async def work() -> None:
        waiting = asyncio.create_task(candidate(Closed(Server())).win())
        await asyncio.sleep(60)
        waiting.cancel()

    virtual_time.run(work())
    [line] = [record.getMessage() for record in caplog.records]
    assert says in line
    assert "sinal/sinal-operator" in line


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), candidates=st.integers(2, 4), badness=st.floats(0, 0.95))
def test_never_two_at_a_time_and_one_in_the_end(seed: int, candidates: int, badness: float) -> None:
    async def work() -> None:
        dice = random.Random(seed)
        server = Server()
        calm = False

        def trouble() -> tuple[float, str]:
            if calm or dice.random() >= badness:
                return dice.random() * 0.2, ""
            return dice.choice((0.05, 1.0, 3.0, 30.0)), dice.choice(
                ("", "lost", "refused", "unanswered")
            )

        living: dict[int, LeaderElection] = {}

        async def life(number: int) -> None:
            for term in itertools.count():
                living[number] = found = candidate(Wire(server, trouble), f"{number}-{term}")
                await found.win()
                keeping = asyncio.create_task(found.keep())
                try:
                    await asyncio.wait({keeping}, timeout=dice.choice((5.0, 20.0, 1e6)))
                finally:
                    keeping.cancel()
                if dice.random() < 0.5:
                    await found.release()
                else:  # frozen: it comes to itself only when its term is over
                    await asyncio.sleep(TERMS.deadline_s)

        lives = [asyncio.create_task(life(number)) for number in range(candidates)]
        for _ in range(1_000):
            await asyncio.sleep(0.25)
            assert sum(one.holding for one in living.values()) <= 1
        calm = True
        for task in lives:
            task.cancel()
        last = candidate(Wire(server, trouble), "last")
        # It sees the old record after one exchange (0.4 s), looks a moment before that is over, and
        # again 2.4 s later.
        await asyncio.wait_for(last.win(), TERMS.duration_s + 2 * TERMS.period_s)

    virtual_time.run(work())
