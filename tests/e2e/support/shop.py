"""The shop of `examples/` as the installed release serves it: what was posted, what Meta got, what
the ledger says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.cluster.support.waiting import until
from tests.e2e.support.site import Site
from tests.e2e.support.traffic import Clicks, Traffic
from tests.support import load

PIXELS = {"pixel-principal": "1234567890123456", "pixel-agencia": "6543210987654321"}


@dataclass(frozen=True)
class Arrived:
    """What became of orders at Meta."""

    missing: dict[str, list[str]]  # destination -> orders that never came
    twice: dict[str, list[str]]  # destination -> orders that came under two ids
    repeated: int  # events that came again under their one id


class Shop:
    """URLs and eyes of the tests."""

    def __init__(self, site: Site, *, edge: str, host: str, api: str, sandbox: str) -> None:
        self.site, self.edge, self.host, self.api, self.sandbox = site, edge, host, api, sandbox
        self.ready = site.describe(ingest=edge, api=api, sandbox=sandbox)

    def traffic(self, *, per_second: float, clicks: bool = False) -> Traffic:
        """Sales at the integration `hotmart`, through the ingress controller.

        With `clicks` each after its click.
        """
        loja = self.ready["tenants"]["loja"]
        keys = loja["funnels"]["curso"]
        before = Clicks(
            f"{self.edge}/t/loja/api/v1/track/click", keys["public_key"], keys["server_key"]
        )
        url = loja["webhooks"]["hotmart"]["url"]
        return Traffic(
            url, host=self.host, per_second=per_second, clicks=before if clicks else None
        )

    def ledger(self) -> dict[str, int]:
        """Totals of the ledger; empty while the API does not answer."""
        totals: dict[str, int] = self._ask("/api/v1/ledger")
        return totals

    def stored_clicks(self) -> set[str]:
        """Event ids of all clicks that the operations API knows.

        Of those before the first page that did not answer.
        """
        found: set[str] = set()
        cursor = ""
        while True:
            page = self._ask(
                f"/api/v1/events?kind=click&limit=500{cursor and f'&cursor={quote(cursor)}'}"
            )
            found.update(event["id"] for event in page.get("events", ()))
            if not page.get("next_cursor"):
                return found
            cursor = page["next_cursor"]

    def _ask(self, path: str) -> dict[str, Any]:
        """What the operations API answers; empty while it does not."""
        request = urllib.request.Request(
            self.api + path, headers={"Authorization": f"Bearer {self.ready['admin_key']}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                told: dict[str, Any] = json.load(answer)
                return told
        except (urllib.error.URLError, OSError):
            return {}

    def arrived(self, orders: Collection[str]) -> Arrived:
        """Compare orders with what the sandbox received, at every pixel."""
        missing, twice, repeated = {}, {}, 0
        for destination, found in asyncio.run(self._received()).items():
            if lost := sorted(order for order in orders if order not in found):
                missing[destination] = lost
            if again := sorted(order for order in orders if len(found.get(order, ())) > 1):
                twice[destination] = again
            repeated += sum(sum(found[order].values()) - 1 for order in orders if order in found)
        return Arrived(missing, twice, repeated)

    def prove(self, traffic: Traffic, *, timeout_s: float = 120) -> Arrived:
        """All that was answered 2xx comes to Meta, under one id each, and the ledger balances.

        Else AssertionError.
        """
        assert traffic.accepted, f"nothing was taken: {traffic.refused}"
        assert not traffic.given_up, (
            f"never taken: {sorted(traffic.given_up)[:5]}; answers: {traffic.refused}"
        )
        with contextlib.suppress(TimeoutError):
            until(
                lambda: not self.arrived(traffic.accepted).missing, timeout_s=timeout_s, pause_s=0.5
            )
            until(lambda: traffic.clicked <= self.stored_clicks(), timeout_s=timeout_s, pause_s=0.5)
        arrived, totals = self.arrived(traffic.accepted), self.ledger()
        assert arrived.missing == {}, f"lost: {arrived.missing}; ledger: {totals}"
        assert arrived.twice == {}, f"two ids: {arrived.twice}"
        assert traffic.clicked <= (stored := self.stored_clicks()), (
            f"clicks lost: {sorted(traffic.clicked - stored)}"
        )
        # The platform's own heartbeat is under way now and then: that all has ended is true at one
        # moment, not at each.
        with contextlib.suppress(TimeoutError):
            until(self._balanced, timeout_s=timeout_s, pause_s=0.5)
            return arrived
        raise AssertionError(f"the ledger does not balance: {self.ledger()}")

    def _balanced(self) -> bool:
        totals = self.ledger()
        ended = sum(totals.get(state, 0) for state in ("delivered", "withheld", "dead"))
        return totals.get("accepted") == ended and totals["in_flight"] == 0

    def fault(self, **script: Any) -> None:
        """Let Meta misbehave by script, in place of what it did so far."""
        self._sandbox("POST", "/_sandbox/faults", {"faults": [script]})

    def heal(self) -> None:
        """Meta behaves again."""
        self._sandbox("DELETE", "/_sandbox/faults")

    def _sandbox(self, method: str, path: str, body: Any = None) -> None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.sandbox + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    async def _received(self) -> dict[str, dict[str, Counter[str]]]:
        async with aiohttp.ClientSession() as session:
            return {
                name: await load.purchases(session, self.sandbox, pixel)
                for name, pixel in PIXELS.items()
            }
