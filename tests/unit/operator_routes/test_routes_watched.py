"""What a watch makes of listings, events and troubles: never an older object, never one that is
gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from sinal_operator.cluster.client import (
    ApiServerClient,
    ApiServerRefused,
    ApiServerUnreachable,
    Gone,
)
from sinal_operator.cluster.resources import INGRESSES
from sinal_operator.cluster.routes import desired, watch
from sinal_operator.cluster.routes.watch import RouteWatch, WatchState

from tests.support.eventually import PATIENCE_S
from tests.unit.operator_routes.plans import options, plan

Body = dict[str, Any]
Event = tuple[str, Body] | Exception


def ingress(name: str = "loja", version: int = 5, **spec: Any) -> Body:
    """An Ingress of ours."""
    (wanted,) = desired.routes(plan(name), options())
    frame = {"uid": f"uid-{name}", "resourceVersion": str(version)}
    return {
        **wanted.body,
        "metadata": {**wanted.body["metadata"], **frame},
        "spec": {**wanted.body["spec"], **spec},
    }


class Server(ApiServerClient):
    """Listings and watches as a script: each listing is answered with the next, then come the next
    events.
    """

    def __init__(self, *script: tuple[Iterable[Body] | Exception, list[Event]]) -> None:
        super().__init__()
        self._script = list(script)
        self._events: list[Event] = []
        self.over = asyncio.Event()  # whether all of the script was asked for
        self.since: list[int] = []
        self.scopes: list[str] = []  # that were listed and watched
        self.narrow = False  # whether only the own namespace may be read

    async def pages(
        self, resource: Any, *, namespace: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[Body], str]]:
        self.scopes.append(namespace)
        if not namespace and self.narrow:
            raise ApiServerRefused(403, "/apis", "cannot list at the cluster scope")
        if not self._script:
            self.over.set()
            await asyncio.Event().wait()
        listing, self._events = self._script.pop(0)
        if isinstance(listing, Exception):
            raise listing
        yield list(listing), "10"

    async def watch(
        self, resource: Any, version: int, *, namespace: str = ""
    ) -> AsyncIterator[tuple[str, Body]]:
        self.since.append(version)
        self.scopes.append(namespace)
        while self._events:
            event = self._events.pop(0)
            if isinstance(event, Exception):
                raise event
            yield event
        raise Gone("the script is over")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSE_S", 0.0)
    monkeypatch.setattr(watch, "RETRY_S", 0.0)


async def watched(server: Server) -> tuple[RouteWatch, list[tuple[WatchState, set[str]]]]:
    """The watch once the script is over, and what it showed whenever it told of a change."""
    shown: list[tuple[WatchState, set[str]]] = []
    found = RouteWatch(
        server,
        INGRESSES,
        namespace="sinal",
        on_change=lambda: shown.append((found.state, {live.name for live in found})),
    )
    running = asyncio.create_task(found.run())
    await asyncio.wait_for(server.over.wait(), PATIENCE_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return found, shown


BOTH = {"sinal-t-loja", "sinal-t-clube"}


async def test_changes_are_told_and_what_tells_nothing_new_is_not() -> None:
    bookmark = {"metadata": {"resourceVersion": "20"}}
    events: list[Event] = [
        (
            "MODIFIED",
            {**ingress(version=11), "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}},
        ),
        ("ADDED", ingress("clube", version=12)),
        ("BOOKMARK", bookmark),
        ("DELETED", ingress(version=21)),
    ]
    _, shown = await watched(Server(([ingress()], events)))
    assert shown == [
        (WatchState.SEEN, {"sinal-t-loja"}),
        (WatchState.SEEN, BOTH),
        (WatchState.SEEN, {"sinal-t-clube"}),
    ]


async def test_a_kind_that_is_missing_or_forbidden_is_a_state_that_ends_by_itself() -> None:
    missing, forbidden = (
        ApiServerRefused(404, "/apis", "not found"),
        ApiServerRefused(403, "/apis", "cannot list"),
    )
    server = Server(
        (missing, []), (missing, []), (forbidden, []), (forbidden, []), ([ingress()], [])
    )
    found, shown = await watched(server)
    states = [state for state, _ in shown]
    assert states == [WatchState.MISSING, WatchState.FORBIDDEN, WatchState.SEEN], "each told once"
    assert found.asked.is_set()


async def test_what_was_seen_stays_while_the_server_is_away_and_goes_with_its_kind() -> None:
    away = ApiServerUnreachable("/apis: TimeoutError")
    found, _ = await watched(Server(([ingress()], [away]), (away, [])))
    assert (found.state, {live.name for live in found}) == (WatchState.SEEN, {"sinal-t-loja"})
    found, _ = await watched(
        Server(
            ([ingress()], [ApiServerRefused(404, "/apis", "gone")]),
            (ApiServerRefused(404, "/apis", "gone"), []),
        )
    )
    assert (found.state, set(found)) == (WatchState.MISSING, set())


async def test_what_vanished_while_nobody_told_is_found_by_the_next_listing() -> None:
    _, shown = await watched(Server(([ingress(), ingress("clube")], []), ([ingress()], [])))
    assert shown == [(WatchState.SEEN, BOTH), (WatchState.SEEN, {"sinal-t-loja"})]


async def test_a_watch_that_the_server_ends_goes_on_where_it_was() -> None:
    server = Server(([ingress()], [("ADDED", ingress("clube", version=15))]))
    await watched(server)
    assert server.since == [10]


async def test_our_own_late_answer_never_brings_back_what_is_gone_or_older() -> None:
    found, _ = await watched(
        Server(
            (
                [ingress(version=5)],
                [("MODIFIED", ingress(version=12)), ("DELETED", ingress(version=14))],
            )
        )
    )
    assert not found.put(ingress(version=13)), "written before it was deleted, answered after"
    assert set(found) == set()
    assert found.put(ingress(version=15)), "made again"
    assert not found.put(ingress(version=14))
    assert not found.remove(ingress(version=14)), "a namesake's end"
    assert {live.version for live in found} == {15}


async def test_the_own_namespace_is_enough_where_no_more_may_be_read() -> None:
    server = Server(([ingress()], [("ADDED", ingress("clube", version=15))]))
    server.narrow = True
    _, shown = await watched(server)
    assert server.scopes[:3] == ["", "sinal", "sinal"]
    assert shown[:2] == [(WatchState.SEEN, {"sinal-t-loja"}), (WatchState.SEEN, BOTH)]
