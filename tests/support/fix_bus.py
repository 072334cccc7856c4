"""Fixtures of the bus: a connection, and tenants' streams made by hand where the provisioner is not
what is tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import ServerError

from sinal_core.nats import Bus
from sinal_crds import names

from tests.support.eventually import PATIENCE_S
from tests.support.nats_process import NatsProcess


class PatientClient(Client):
    """A client whose requests to JetStream outlast a stall of the machine."""

    def jetstream(self, **options: Any) -> JetStreamContext:
        return super().jetstream(**{"timeout": PATIENCE_S, **options})


MakeTenant = Callable[..., Awaitable[None]]


@pytest.fixture
async def bus(nats_server: NatsProcess) -> AsyncIterator[Bus]:
    """A connected bus."""
    connected = await Bus.connect(nats_server.url, name="test")
    yield connected
    await connected.close()


@pytest.fixture
async def client(nats_server: NatsProcess) -> AsyncIterator[Client]:
    """A plain client, as an operator's tools would have it."""

    # nats-py's own callback logs a traceback for every attempt while a test has the broker down.
    async def quiet(error: Exception) -> None:
        del error

    connected = PatientClient()
    await connected.connect(
        nats_server.url,
        connect_timeout=20,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,  # type: ignore[arg-type]
        error_cb=quiet,
    )
    yield connected
    await connected.close()


async def _added(js: JetStreamContext, config: StreamConfig) -> None:
    """Add a stream.

    The broker refuses while it still clears away the folder of one that had the same name.
    """
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await js.add_stream(config)
                return
            except ServerError:
                await asyncio.sleep(0.05)


@pytest.fixture
def make_tenant(client: Client) -> MakeTenant:
    """Create a tenant's stream and consumers."""

    async def make(
        slug: str, *consumers: str, ack_wait_s: float = 60, max_msgs: int = -1, max_bytes: int = -1
    ) -> None:
        js = client.jetstream()
        config = StreamConfig(
            name=names.stream(slug),
            subjects=[names.tenant_subjects(slug)],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_msgs=max_msgs,
            max_bytes=max_bytes,
            max_consumers=100,
        )
        await _added(js, config)
        for consumer in consumers or (names.MATCH_CONSUMER,):
            destination = consumer.removeprefix(names.DISPATCH_PREFIX)
            chosen = consumer != names.MATCH_CONSUMER
            await js.add_consumer(
                names.stream(slug),
                ConsumerConfig(
                    durable_name=consumer,
                    filter_subject=names.out_subject(slug, destination)
                    if chosen
                    else names.in_filter(slug),
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=ack_wait_s,
                    max_ack_pending=10_000,
                    mem_storage=True,
                ),
            )

    return make
