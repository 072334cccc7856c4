"""The mix of a paid-traffic funnel as HTTP requests: page views, checkouts and webhooks of the
sales they lead to.

Of 50 events 40 are page views, 7 checkouts and 3 sales. A visitor comes four times, among other
visitors; a sale belongs to a visitor seen before, whose click id the gateway gives back. Every
event goes to Meta, so each is found there again under the key that `due` remembers it by.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.support.world import HOST, HOTTOK

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer

# visitors at a time; no divisor of the mix, so that every visitor does a bit of everything
VISITORS = 997
VISITS = 4
_KINDS = "pppppppcpppppppspppppppcppppppcpspppppcppcppcppcps"  # of 50 events in a row
_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
    "like "
    "Gecko) Mobile/15E148"
)
_ORDER, _EMAIL, _PHONE, _CLICK, _NOW = (
    "HPBENCHORDER",
    "buyer@bench.example",
    "11900000000",
    "clickofthebench",
    1111111111111,
)


@dataclass(frozen=True)
class Shop:
    """Where a tenant's events go."""

    slug: str
    funnel_key: str
    webhook: str  # path


def shops(minted: Mapping[str, Any]) -> list[Shop]:
    """The shops of a started platform, by slug."""
    found = []
    for slug, keys in sorted(minted.items()):
        [funnel], [hook] = keys["funnels"].values(), keys["webhooks"].values()
        path = f"/t/{slug}/api/v1/webhooks/{hook['gateway']}/{hook['token']}"
        found.append(Shop(slug, funnel["public_key"], path))
    return found


class Traffic:
    """Events in sequence.

    `due` says when each was due, in seconds since the start, `tenant` whose it is.
    """

    def __init__(self, shops: Sequence[Shop], *, run: str, only: str | None = None) -> None:
        self._shops = shops
        self._run = run
        self._only = only
        self.due: dict[str, float] = {}
        self.tenant: dict[str, str] = {}  # slug of each event's shop
        self._sale = _sale_template()

    def make(self, number: int, due_s: float) -> bytes:
        """The request of event `number`; the same number is the same event."""
        kind = self._only or _KINDS[number % len(_KINDS)]
        visitor = number // (VISITS * VISITORS) * VISITORS + number % VISITORS
        shop = self._shops[visitor % len(self._shops)]
        key = f"{self._run}{number:08d}"
        self.due[key], self.tenant[key] = due_s, shop.slug
        if kind == "s":
            return self._webhook(shop, key, max(visitor - VISITORS, visitor % VISITORS))
        return self._visit(shop, key, visitor, "pageview" if kind == "p" else "initiate_checkout")

    def _visit(self, shop: Shop, key: str, visitor: int, kind: str) -> bytes:
        more = (
            ',"value":"297.00","currency":"BRL","items":[{"id":"4774438","price":"297.00"}]'
            if kind[0] == "i"
            else ""
        )
        click = f"&fbclid=IwAR{self._run}{visitor:020d}" if visitor % 2 else ""
        body = (
            f'{{"funnel":"{shop.funnel_key}","event_id":"{key}","click_id":"c{self._run}{visitor}",'
            f'"session_id":"s{self._run}{visitor}","fbp":"fb.1.1700000000000.{visitor + 1000000000}",'
            f'"url":"https://{HOST}/oferta?utm_source=fb&utm_medium=cpc&utm_campaign=Novembro{click}",'
            f'"referrer":"https://l.facebook.com/"{more}}}'
        )
        return (
            f"POST /t/{shop.slug}/api/v1/track/{kind} HTTP/1.1\r\nHost: ingest.example\r\n"
            f"Origin: https://{HOST}\r\nX-Forwarded-For: {_address(visitor)}\r\nUser-Agent: "
            f"{_AGENT}\r\nAccept: */*\r\n"
            f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _webhook(self, shop: Shop, key: str, visitor: int) -> bytes:
        number = key[len(self._run) :]
        replaced = {
            _ORDER: key,
            _EMAIL: f"b{key}@bench.example",
            _PHONE: f"119{number}",
            _CLICK: f"c{self._run}{visitor}",
            str(_NOW): str(int(time.time() * 1000)),
        }
        body = self._sale
        for old, new in replaced.items():
            body = body.replace(old, new)
        return (
            f"POST {shop.webhook} HTTP/1.1\r\nHost: ingest.example\r\nContent-Type: "
            "application/json\r\n"
            f"X-HOTMART-HOTTOK: {HOTTOK}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
        ).encode()


def _sale_template() -> str:
    """Hotmart's captured approval with marks where orders differ."""
    made = deliveries.hotmart(
        _ORDER, Buyer("Comprador Teste", _EMAIL, _PHONE), token=HOTTOK, xcod=_CLICK
    )
    payload = json.loads(made.body)
    payload["id"] = _ORDER
    payload["creation_date"] = payload["data"]["purchase"]["approved_date"] = _NOW
    return json.dumps(payload, ensure_ascii=False)


def _address(visitor: int) -> str:
    """A public address of its own for each visitor."""
    high, low = divmod(visitor, 250)
    return f"189.{high // 250 % 250}.{high % 250}.{low + 1}"
