"""The live tail shows every event and every change of its state, over breaks of the connection
too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from sinal_api import problems, stream
from sinal_api.access import Access
from sinal_core.http.drain import Drain
from sinal_core.http.server import HttpServer
from sinal_hub.services.keys import KeyCheck
from sinal_hub.services.tail import Tail
from sinal_hub.store.api_keys import KeyStore
from sinal_hub.store.reading import EventReader
from sinal_hub.store.tailing import TailStore

from tests.support.eventually import eventually
from tests.support.fix_operations import ADMIN_KEY, ApiRig

PATH = "/api/v1/events/stream"
ARRIVES = b"""
insert into events (id, received_at, occurred_at, tenant_id, funnel, kind, source, outcome, body)
values (%s, now(), now(), %s, 'f', 'lead', 'browser', 'withheld', '{}')
"""


class Live:
    """A listening server of the stream, and its tail."""

    def __init__(self, tail: Tail, leaving: Drain, url: str) -> None:
        self.tail, self.leaving, self.url = tail, leaving, url

    @asynccontextmanager
    async def listen(
        self, *, key: str = ADMIN_KEY, last: str | None = None, **query: str
    ) -> AsyncIterator[Any]:
        """Messages of one connection as dicts of their fields."""
        headers = {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": last} if last else {})
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=60) as client,
            client.stream("GET", PATH, params=query, headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            yield _messages(answer)


async def _messages(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name or "comment"] = value
        elif fields:
            yield fields
            fields = {}


async def _event(messages: AsyncIterator[dict[str, str]]) -> tuple[str, dict[str, Any]]:
    async with asyncio.timeout(60):
        async for message in messages:
            if message.get("event") == "event":
                found: dict[str, Any] = msgspec.json.decode(message["data"])
                return message["id"], found
    raise AssertionError("the stream ended")


@pytest.fixture
async def live(api_rig: ApiRig) -> AsyncIterator[Live]:
    """The stream over real HTTP, polling fast."""
    app = FastAPI()
    app.state.access = Access(KeyCheck(api_rig.secret, KeyStore(api_rig.database)))
    problems.install(app)
    tail = Tail(TailStore(api_rig.database), EventReader(api_rig.database), poll_s=0.05)
    leaving = Drain()
    app.include_router(stream.routes(tail, leaving, heartbeat_s=0.2))
    server = HttpServer(app, host="127.0.0.1", port=0, grace_s=1)
    await server.start()
    yield Live(tail, leaving, server.url)
    await server.stop()


async def test_an_event_is_shown_when_it_comes_and_when_its_outcome_changes(
    api_rig: ApiRig, live: Live
) -> None:
    async with live.listen() as messages:
        await eventually(lambda: live.tail.pollers == 1)
        sale = api_rig.room.sale()
        await api_rig.room.deliver(sale)
        _, shown = await _event(messages)
        assert (shown["id"], shown["outcome"]["state"]) == (sale.id, "in_flight")
        await api_rig.run(
            "update capi_events set status = 'delivered', settled_at = clock_timestamp()"
        )
        _, shown = await _event(messages)
        assert (shown["id"], shown["outcome"]["state"]) == (sale.id, "delivered")


async def test_a_broken_stream_goes_on_where_it_was(api_rig: ApiRig, live: Live) -> None:
    async with live.listen() as messages:
        await eventually(lambda: live.tail.pollers == 1)
        first = api_rig.room.sale(order="HP1")
        await api_rig.room.deliver(first)
        last, _ = await _event(messages)
    missed = [api_rig.room.sale(order=f"HP{n}") for n in range(2, 5)]
    for sale in missed:
        await api_rig.room.deliver(sale)
    async with live.listen(last=last) as messages:
        again = [first, *missed]  # the last seconds are told again
        assert [(await _event(messages))[1]["id"] for _ in again] == [sale.id for sale in again]
        new = api_rig.room.sale(order="HP9")
        await api_rig.room.deliver(new)
        assert (await _event(messages))[1]["id"] == new.id


async def test_a_transaction_that_took_longer_than_others_is_not_missed(
    api_rig: ApiRig, live: Live
) -> None:
    quick = api_rig.room.sale()
    async with live.listen() as messages:
        await eventually(lambda: live.tail.pollers == 1)
        async with api_rig.database.transaction() as connection:
            await connection.execute(ARRIVES, ("ev_slow", "loja"))
            await api_rig.room.deliver(quick)
            assert (await _event(messages))[1]["id"] == quick.id
        assert (await _event(messages))[1]["id"] == "ev_slow"


async def test_a_tenants_key_hears_its_tenant_only(api_rig: ApiRig, live: Live) -> None:
    key = await api_rig.key(tenant="outra", role="viewer")
    async with live.listen(key=key) as messages:
        await eventually(lambda: live.tail.pollers == 1)
        await api_rig.room.deliver(api_rig.room.sale())
        await api_rig.run(ARRIVES.decode(), "ev_outra", "outra")
        assert (await _event(messages))[1]["id"] == "ev_outra"
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=live.url, timeout=60) as client:
        assert (
            await client.get(PATH, params={"tenant": "loja"}, headers=headers)
        ).status_code == 404
        assert (await client.get(PATH)).status_code == 401


@pytest.mark.parametrize(
    "ending",
    [
        "update api_keys set revoked_at = now() where tenant_id = 'outra'",
        "update api_keys set expires_at = now() where tenant_id = 'outra'",
        "update api_keys set owner = 'the one before' where tenant_id = 'outra'",
    ],
    ids=["revoked", "expired", "slug-handed-over"],
)
async def test_a_stream_does_not_outlive_its_key(api_rig: ApiRig, live: Live, ending: str) -> None:
    """Else who had the slug before would see the new owner's events until the stream is a quarter
    of an hour old.
    """
    await api_rig.run(
        "insert into tenants (id, name, owner, home) values ('outra', 'outra', 'uid-2', "
        "'default/outra') "
        "on conflict (id) do update set owner = 'uid-2', home = 'default/outra'"
    )
    key = await api_rig.key(tenant="outra", role="viewer")
    async with live.listen(key=key) as messages, live.listen() as others:
        await eventually(lambda: live.tail.pollers == 2)
        await api_rig.run(ARRIVES.decode(), "ev_1", "outra")
        assert (await _event(messages))[1]["id"] == "ev_1"
        await api_rig.run(ending)
        async with asyncio.timeout(60):
            assert [message async for message in messages if "event" in message] == []
        await api_rig.run(ARRIVES.decode(), "ev_2", "outra")
        assert [(await _event(others))[1]["id"] for _ in range(2)] == ["ev_1", "ev_2"]
    await eventually(lambda: live.tail.pollers == 0)


async def test_filters_choose_and_heartbeats_come(api_rig: ApiRig, live: Live) -> None:
    async with live.listen(outcome="withheld") as messages:
        await eventually(lambda: live.tail.pollers == 1)
        await api_rig.room.deliver(api_rig.room.sale(order="HP1"))
        async with asyncio.timeout(60):
            async for message in messages:
                if "comment" in message:
                    break
        repeat = api_rig.room.sale(order="HP1")
        await api_rig.room.deliver(repeat)
        _, shown = await _event(messages)
        assert (shown["id"], shown["outcome"]["reason"]) == (repeat.id, "duplicate")


async def test_listeners_of_one_tenant_share_a_poller_and_leave_none_behind(live: Live) -> None:
    async with live.listen(), live.listen(), live.listen(tenant="loja"):
        await eventually(lambda: live.tail.pollers == 2)
    await eventually(lambda: live.tail.pollers == 0)


async def test_a_cursor_of_nobody_is_refused(live: Live) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Last-Event-ID": "yesterday"}
    async with httpx.AsyncClient(base_url=live.url, timeout=60) as client:
        assert (await client.get(PATH, headers=headers)).status_code == 400


async def test_a_stream_ends_whole_when_its_process_leaves(live: Live) -> None:
    """A connection that is cut would be an error to its client."""
    async with live.listen() as messages, asyncio.timeout(60):
        await eventually(lambda: live.tail.pollers == 1)
        live.leaving.end()
        assert [message async for message in messages if "event" in message] == []
    await eventually(lambda: live.tail.pollers == 0)
