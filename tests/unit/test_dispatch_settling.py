"""An answer of Meta is written down even when PostgreSQL is away for a moment: it would become a
doubt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from sinal_core.outbox.ledger import Ref, Request, Result
from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import StoreUnavailable
from sinal_hub.store.delivery import DeliveryStore
from sinal_hub.store.delivery_rows import Row

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROW = Row(
    ref=Ref(1, 1),
    id=1,
    created_at=NOW,
    attempts=1,
    fence=1,
    source_event="ev",
    funnel="f",
    payload_json="{}",
    consent_ads=None,
    received_at=NOW,
    doubted=False,
)


class Flaky:
    """A database that is away for the first statements."""

    description = True

    def __init__(self, failures: int) -> None:
        self.failures, self.asked = failures, 0

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Flaky]:
        self.asked += 1
        if self.asked <= self.failures:
            raise StoreUnavailable("away")
        yield self

    async def execute(self, _statement: bytes, _parameters: object) -> Flaky:
        return self

    async def fetchall(self) -> list[dict[str, Any]]:
        return [{"id": 1}]


async def settle(database: Flaky) -> set[int]:
    store = DeliveryStore(cast(Database, database), settle_waits_s=(0.0, 0.0))
    result = Result(row=ROW, outcome="delivered", status="delivered")
    return await store.settle("loja", [result], request=Request(1, NOW))


async def test_it_is_tried_again() -> None:
    database = Flaky(2)
    assert await settle(database) == {1}
    assert database.asked == 3


async def test_it_gives_up_in_the_end() -> None:
    with pytest.raises(StoreUnavailable):
        await settle(Flaky(3))
