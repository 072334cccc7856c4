"""The demo's hands and eyes: posts as browsers, servers and gateways do, reads as an operator
does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx

from sinal_cli.demo.deliveries import DemoRequest

TENANT = "loja"
LANDING = "https://loja.example"
BROWSER = (
    "Mozilla/5.0 (Linux; Android 15; SM-A556E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 "
    "Mobile Safari/537.36"
)


class DemoError(RuntimeError):
    """The journey could not go on; the message says at which door and what was answered."""


@dataclass(frozen=True)
class Posted:
    """What a door answered."""

    status: int
    body: dict[str, Any]

    @property
    def ids(self) -> list[str]:
        """Ids of the accepted events."""
        return [event["id"] for event in self.body.get("events", [])]

    @property
    def duplicate(self) -> bool:
        """Whether the door says that it has seen this before."""
        return any(event.get("duplicate") for event in self.body.get("events", []))


class RunningStack:
    """A running stack as `--ready-file` describes it."""

    def __init__(self, ready: dict[str, Any], client: httpx.AsyncClient) -> None:
        self._client = client
        self._ingest: str = ready["ingest"]
        self._api: str = ready["api"]
        self._sandbox: str = ready["sandbox"]
        self._admin = {"Authorization": f"Bearer {ready['admin_key']}"}
        self._tenant: dict[str, Any] = ready["tenants"][TENANT]

    async def browser(self, kind: str, funnel: str, **fields: Any) -> Posted:
        """A tracking event as the page's script sends it: public key, Origin, text/plain."""
        body = {"funnel": self._tenant["funnels"][funnel]["public_key"], **fields}
        return await self._track(kind, body, {"Origin": LANDING, "User-Agent": BROWSER})

    async def server(
        self, kind: str, funnel: str, *, ip: str, user_agent: str = BROWSER, **fields: Any
    ) -> Posted:
        """A tracking event as a shop's server sends it: secret key, and the buyer's own address."""
        keys = self._tenant["funnels"][funnel]
        body = {
            "funnel": keys["public_key"],
            "client": {"ip": ip, "user_agent": user_agent},
            **fields,
        }
        return await self._track(kind, body, {"Authorization": f"Bearer {keys['server_key']}"})

    async def webhook(self, integration: str, delivery: DemoRequest) -> Posted:
        """A gateway's delivery to the URL of an integration."""
        url = self._tenant["webhooks"][integration]["url"]
        answer = await self._client.post(
            url + (f"?{delivery.query}" if delivery.query else ""),
            content=delivery.body,
            headers={"Content-Type": "application/json", **delivery.headers},
        )
        return Posted(answer.status_code, _json(answer))

    async def event(self, event_id: str) -> dict[str, Any] | None:
        """Detail of one event, or None while it is not stored."""
        answer = await self._client.get(
            f"{self._api}/api/v1/events/{event_id}", headers=self._admin
        )
        return None if answer.status_code == 404 else _json(answer)

    async def settled(
        self, event_id: str, *, timeout_s: float = 120.0, in_flight: bool = False
    ) -> dict[str, Any]:
        """The event once it has an outcome (or, with `in_flight`, once it is stored)."""
        deadline = time.monotonic() + timeout_s
        while True:
            detail = await self.event(event_id)
            if detail is not None and (in_flight or detail["outcome"]["state"] != "in_flight"):
                return detail
            if time.monotonic() > deadline:
                state = "never stored" if detail is None else "still in flight"
                raise DemoError(f"event {event_id} is {state} after {timeout_s:.0f} s")
            await asyncio.sleep(0.05)

    async def ledger(self) -> dict[str, int]:
        """Totals: accepted, delivered, withheld, dead, in_flight."""
        return _json(await self._client.get(f"{self._api}/api/v1/ledger", headers=self._admin))

    async def at_meta(self, meta_event_id: str) -> list[dict[str, Any]]:
        """What the sandbox received under an event id."""
        answer = await self._client.get(
            f"{self._sandbox}/_sandbox/events", params={"event_id": meta_event_id}
        )
        received: list[dict[str, Any]] = _json(answer)["events"]
        return received

    async def fault(self, **script: Any) -> None:
        """Let Meta misbehave by script."""
        answer = await self._client.post(
            f"{self._sandbox}/_sandbox/faults", json={"faults": [script]}
        )
        if answer.status_code >= 300:
            raise DemoError(
                f"the sandbox refused a fault: {answer.status_code} {answer.text[:200]}"
            )

    async def _track(self, kind: str, body: dict[str, Any], headers: dict[str, str]) -> Posted:
        import msgspec

        answer = await self._client.post(
            f"{self._ingest}/t/{TENANT}/api/v1/track/{kind}",
            content=msgspec.json.encode(body),
            headers={"Content-Type": "text/plain;charset=UTF-8", **headers},
        )
        return Posted(answer.status_code, _json(answer))


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body: dict[str, Any] = answer.json()
    except ValueError:
        raise DemoError(
            f"{answer.request.url.path} answered {answer.status_code} without JSON"
        ) from None
    return body
