"""How routes are written: never over somebody's head, never in vain, and with a true word on what
stood in the way.
"""

from __future__ import annotations

from typing import Any

import pytest

from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.resources import INGRESSES
from sinal_operator.cluster.routes import desired, findings
from sinal_operator.cluster.routes.decision import RouteStep, decide
from sinal_operator.cluster.routes.findings import RouteFinding
from sinal_operator.cluster.routes.observed import ObservedRoutes, see
from sinal_operator.cluster.routes.patience import FREE
from sinal_operator.cluster.routes.watch import RouteWatch
from sinal_operator.cluster.routes.writer import RETRY_S, SOON_S, RouteWriter

from tests.unit.operator_routes.plans import options, plan

Body = dict[str, Any]
OPTIONS = options()
(WANTED,) = desired.routes(plan(), OPTIONS)


class Server(ApiServerClient):
    """Takes what is applied, or refuses it, and notes how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Body, bool]] = []
        self.trouble: Exception | None = None
        self.changes: Body = {}  # an admission webhook's

    async def apply(self, resource: Any, body: Body, *, manager: str, force: bool) -> Body:
        self.asked.append((body, force))
        if self.trouble is not None:
            raise self.trouble
        frame = {"uid": "uid", "resourceVersion": str(len(self.asked) + 10)}
        return {
            **body,
            "metadata": {**body["metadata"], **frame},
            "spec": {**body["spec"], **self.changes},
        }

    async def delete(self, resource: Any, namespace: str, name: str, *, uid: str) -> None:
        self.asked.append(({"delete": (name, uid)}, False))
        if self.trouble is not None:
            raise self.trouble


class Desk:
    """A writer with what it needs; `now` is its clock."""

    def __init__(self) -> None:
        self.server, self.later, self.now = Server(), [], 0.0  # type: ignore[var-annotated]
        self.watch = RouteWatch(self.server, INGRESSES, namespace="sinal", on_change=lambda: None)
        self.writer = RouteWriter(
            self.server, {INGRESSES: self.watch}, later=self.later.append, clock=lambda: self.now
        )

    def step(self) -> RouteStep:
        """What a round decides now."""
        (step,) = decide(OPTIONS, [WANTED], self.watch, settled=self.writer.settled).steps
        return step

    async def round(self) -> ObservedRoutes | RouteFinding | None:
        """Do it."""
        self.writer.begin({self.step().key})
        return await self.writer.write(self.step())


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_what_is_not_there_is_made_without_force_and_what_is_there_changed_as_it_was_seen(
    desk: Desk,
) -> None:
    assert isinstance(await desk.round(), ObservedRoutes)
    assert not desk.step().differs
    (spoilt,) = desk.watch
    desk.watch.put(_body(spoilt, version=20, rules=[]))
    assert isinstance(await desk.round(), ObservedRoutes)
    (made, force_made), (mended, force_mended) = desk.server.asked
    assert (force_made, force_mended) == (False, True)
    assert "resourceVersion" not in made["metadata"]
    assert (mended["metadata"]["uid"], mended["metadata"]["resourceVersion"]) == ("uid", "20")


def _body(live: ObservedRoutes, *, version: int, **spec: Any) -> Body:
    metadata = {
        "name": live.name,
        "namespace": live.namespace,
        "uid": live.uid,
        "resourceVersion": str(version),
    }
    return {
        "metadata": {**live.body["metadata"], **metadata},
        "spec": {**live.body["spec"], **spec},
    }


async def test_what_an_admission_webhook_changes_is_not_written_again_and_again(desk: Desk) -> None:
    desk.server.changes = {"rules": [{"host": "theirs.example"}]}
    await desk.round()
    assert not desk.step().differs


async def test_what_changed_in_this_moment_is_no_fault(desk: Desk) -> None:
    desk.server.trouble = ApiServerRefused(409, "/apis", "conflict")
    found = await desk.round()
    assert isinstance(found, RouteFinding)
    assert (found.state, found.reason, desk.later) == ("Unknown", findings.PENDING, [SOON_S])
    desk.server.trouble = None
    await desk.round()
    (live,) = desk.watch
    desk.watch.put(_body(live, version=30, rules=[]))
    desk.server.trouble = ApiServerRefused(409, "/apis", "the object has been modified")
    assert await desk.round() is None


async def test_one_refusal_for_want_of_rights_is_enough_for_a_round(desk: Desk) -> None:
    desk.server.trouble = ApiServerRefused(403, "/apis", "cannot patch")
    for _ in range(3):
        found = await desk.writer.write(desk.step())
        assert isinstance(found, RouteFinding)
        assert found.reason == findings.FORBIDDEN
    assert len(desk.server.asked) == 1
    desk.writer.begin({desk.step().key})
    await desk.writer.write(desk.step())
    assert len(desk.server.asked) == 2


@pytest.mark.parametrize(
    ("trouble", "state", "reason"),
    [
        (ApiServerRefused(422, "/apis", "host is an IP address"), "False", findings.REFUSED),
        (ApiServerRefused(404, "/apis", "namespaces sinal not found"), "False", findings.REFUSED),
        (ApiServerUnreachable("/apis: TimeoutError"), "Unknown", findings.UNREACHABLE),
    ],
)
async def test_what_the_server_says_is_told_and_it_is_tried_again(
    desk: Desk, trouble: Exception, state: str, reason: str
) -> None:
    desk.server.trouble = trouble
    found = await desk.round()
    assert isinstance(found, RouteFinding)
    assert (found.state, found.reason, desk.later) == (state, reason, [RETRY_S])
    assert str(trouble) in found.message


async def test_refusals_are_no_quarrel_but_lasting_edits_are(desk: Desk) -> None:
    desk.server.trouble = ApiServerRefused(422, "/apis", "no")
    for _ in range(10):
        found = await desk.round()
        assert isinstance(found, RouteFinding)
        assert found.reason == findings.REFUSED
    desk.server.trouble = None
    for n in range(FREE + 1):
        assert isinstance(await desk.round(), ObservedRoutes)
        (live,) = desk.watch
        desk.watch.put(_body(live, version=100 + n, rules=[]))
        desk.now += 1
    found = await desk.round()
    assert isinstance(found, RouteFinding)
    assert found.reason == findings.ROUTE_EDITED
    desk.now += desk.later[-1]
    assert isinstance(await desk.round(), ObservedRoutes)


async def test_a_route_that_can_not_be_removed_is_tried_again(desk: Desk) -> None:
    body = {
        **WANTED.body,
        "metadata": {**WANTED.body["metadata"], "uid": "uid", "resourceVersion": "1"},
    }
    desk.server.trouble = ApiServerRefused(403, "/apis", "cannot delete")
    await desk.writer.remove(see(INGRESSES, body, namespace="sinal"))
    assert desk.server.asked == [({"delete": ("sinal-t-loja", "uid")}, False)]
    assert desk.later == [RETRY_S]
