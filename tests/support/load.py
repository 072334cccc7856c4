"""Load as gateways make it: every delivery is repeated until it is answered 2xx, as a gateway
does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import aiohttp

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer, DemoRequest

HOTTOK = "demo-hottok"


def hotmart_sales(prefix: str, count: int) -> list[tuple[str, DemoRequest]]:
    """So many approved sales, each of another order and buyer: (order id, delivery)."""
    sales = []
    for number in range(count):
        order = f"HP{prefix}{number:06d}"
        buyer = Buyer(
            "Comprador Teste", f"buyer{number}.{prefix}@example.com", f"119{80_000_000 + number}"
        )
        sales.append((order, deliveries.hotmart(order, buyer, token=HOTTOK)))
    return sales


def hotmart_sale(order: str = "HP0000000001") -> bytes:
    """The body of an approved sale of now."""
    return deliveries.hotmart(
        order, Buyer("Comprador Teste", "buyer@example.com", "11987650001"), token=HOTTOK
    ).body


async def post_until_accepted(
    session: aiohttp.ClientSession,
    url: str,
    sales: Iterable[tuple[str, DemoRequest]],
    *,
    concurrency: int = 40,
) -> set[str]:
    """Orders that were answered 2xx.

    A broken connection or a 5xx is tried again like a gateway would.
    """
    accepted: set[str] = set()
    queue = list(reversed(list(sales)))

    async def sender() -> None:
        while queue:
            order, delivery = queue.pop()
            while not await _post(session, url, delivery):
                await asyncio.sleep(0.05)
            accepted.add(order)

    await asyncio.gather(*(sender() for _ in range(concurrency)))
    return accepted


async def _post(session: aiohttp.ClientSession, url: str, delivery: DemoRequest) -> bool:
    try:
        async with session.post(url, data=delivery.body, headers=delivery.headers) as answer:
            await answer.read()
            return answer.status < 300
    except (aiohttp.ClientError, TimeoutError):
        return False


async def purchases(
    session: aiohttp.ClientSession, sandbox: str, pixel: str
) -> dict[str, Counter[str]]:
    """What Meta has: order id -> event ids with how often each arrived."""
    found: dict[str, Counter[str]] = {}
    params = {"pixel": pixel, "event_name": "Purchase", "limit": "100000"}
    async with session.get(f"{sandbox}/_sandbox/events", params=params) as answer:
        for received in (await answer.json())["events"]:
            event = received["event"]
            found.setdefault(event["custom_data"]["order_id"], Counter())[event["event_id"]] += 1
    return found
