"""Reports of what real senders send, posted through the real doors of one platform that has every
gateway.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from sinal_cli.embedded.process import free_port
from sinal_cli.samples.delivery import SIGNERS, delivery
from sinal_cli.samples.sample import Filling
from sinal_hub.gateways import registry

FOLDER = Path(__file__).parents[1] / "fixtures" / "reports"
TOLD = datetime(2026, 11, 30, 9, 13, 20, tzinfo=UTC)  # when everything in the reports happened
STACK_S, PATIENCE_S = 90, 60
PIXEL = "1234567890123456"
HOST = "track.loja.example"
DEMO = {
    "hotmart": "demo-hottok", "kiwify": "demo-kiwify-token", "stripe": "whsec_demo", "braip": "demo-braip-key",
    "perfectpay": "demo-perfectpay-token",
}  # fmt: skip
SKIPPING = "stripe-skipping"  # an integration of a funnel that sends no renewals
BARE = "hotmart-bare"  # an integration of the funnel that `declare` changes


def manifests(bare: Mapping[str, Any] | None = None) -> str:
    """One tenant with a pixel and an integration of every gateway.

    A funnel that skips renewals, one that is `bare`.
    """
    spec = {"tenantRef": "loja", "landingHosts": ["loja.example"], "destinationRefs": ["pixel"]}
    objects: list[dict[str, Any]] = [
        _object("Tenant", "loja", {"ingest": {"hosts": [HOST]}, "country": "BR"}),
        _secret("meta", {"accessToken": "sandbox-token"}),
        _object("Destination", "pixel", {
            "tenantRef": "loja", "meta": {"pixelId": PIXEL, "accessTokenSecretRef": {"name": "meta"}},
            "batch": {"maxAgeMillis": 50},
        }),
        _object("Funnel", "curso", spec),
        _object("Funnel", "assinatura", {**spec, "renewals": "Skip"}),
        _object("Funnel", "bare", {**spec, **(bare or {})}),
    ]  # fmt: skip
    for name in sorted(registry()):
        objects += _integration(name, name, "curso")
    objects += _integration(SKIPPING, "stripe", "assinatura")
    objects += _integration(BARE, "hotmart", "bare")
    return yaml.safe_dump_all(objects)


def credentials(gateway: str) -> dict[str, str]:
    """What the Secret of a gateway's integration holds: as the reports' deliveries carry it."""
    module = registry()[gateway]
    keys = (*module.SECRET_KEYS, *getattr(module, "READBACK_KEYS", ()))
    return dict.fromkeys(keys, DEMO.get(gateway, f"demo-{gateway}"))


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": dict(spec),
    }


def _secret(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": dict(data),
    }


def _integration(name: str, gateway: str, funnel: str) -> list[dict[str, Any]]:
    spec: dict[str, Any] = {"tenantRef": "loja", "funnelRef": funnel, "gateway": gateway}
    found = credentials(gateway)
    if found:
        spec["credentialsSecretRef"] = {"name": name}
    return [_object("GatewayIntegration", name, spec), *([_secret(name, found)] if found else [])]


def moved(raw: bytes) -> bytes:
    """A body whose times are of the last day and not of the day of the reports: moved by whole
    days.
    """
    now = datetime.now(UTC)
    # Rounded down: nothing that happened may lie in the future.
    days = (now - TOLD) // timedelta(days=1)
    day = (TOLD + timedelta(days=days)).date()
    text = raw.replace(b"2026-11-30", day.isoformat().encode()).replace(
        b"20261130", f"{day:%Y%m%d}".encode()
    )
    shift = lambda found: str(int(found[1]) + days * 86_400).encode() + (found[2] or b"")  # noqa: E731 - of one stamp
    return re.sub(rb"\b(17960\d{5})(000)?\b", shift, text)


class Stage:
    """A running platform, and how reports are posted to it."""

    def __init__(self, ready: dict[str, Any], payments: dict[str, bytes], file: Path) -> None:
        self.ready, self._payments, self._file = ready, payments, file
        self._http = httpx.Client(timeout=PATIENCE_S)
        self._api = httpx.Client(
            timeout=PATIENCE_S,
            base_url=ready["api"],
            headers={"Authorization": f"Bearer {ready['admin_key']}"},
        )
        self.tenant = ready["tenants"]["loja"]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._api.close()

    def body(self, case: str, file: str) -> bytes:
        """A report's delivery with its times of now."""
        return moved((FOLDER / case / file).read_bytes())

    def post(
        self,
        gateway: str,
        raw: bytes,
        *,
        integration: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: str | None = None,
        after: str = "",
    ) -> httpx.Response:
        """A delivery to an integration's URL (and what stands `after` it), signed as the gateway
        signs.
        """
        sign = SIGNERS.get(gateway)
        # the older webhook
        unsigned = gateway == "eduzz" and (b'"trans_cod"' in raw or b'"origin' in raw)
        proof: tuple[dict[str, str], dict[str, str]] = ({}, {})
        if sign is not None and query is None and not unsigned:
            proof = sign(raw, DEMO.get(gateway, f"demo-{gateway}"))
        url = self.tenant["webhooks"][integration or gateway]["url"] + after
        kind = (
            "application/json" if raw.lstrip()[:1] == b"{" else "application/x-www-form-urlencoded"
        )
        query = query if query is not None else str(httpx.QueryParams(proof[1]))
        sent = {"Content-Type": kind, **proof[0], **(headers or {})}
        return self._http.post(f"{url}?{query}" if query else url, content=raw, headers=sent)

    def report(self, case: str, file: str, gateway: str, **how: Any) -> list[dict[str, Any]]:
        """Post a report's delivery, which must be taken; its events once they have an outcome."""
        return self.settled(self.post(gateway, self.body(case, file), **how))

    def track(self, kind: str, body: Mapping[str, Any]) -> httpx.Response:
        """An event of a page, with the server key."""
        keys = self.tenant["funnels"]["curso"]
        headers = {"Authorization": f"Bearer {keys['server_key']}"}
        return self._http.post(
            f"{self.ready['ingest']}/t/loja/api/v1/track/{kind}", json=dict(body), headers=headers
        )

    def sold(self, click_id: str | None, order: str) -> dict[str, Any]:
        """A Hotmart sale whose checkout link carried a click id."""
        sample = delivery(
            "hotmart",
            "PURCHASE_APPROVED",
            Filling(
                order=order,
                event="",
                email=f"{order.lower()}@example.com",
                phone="11987654321",
                click=click_id,
            ),
            {"hottok": DEMO["hotmart"]},
        )
        (event,) = self.settled(self.post("hotmart", sample.body))
        return event

    def settled(self, answer: httpx.Response) -> list[dict[str, Any]]:
        """The events of an answer in detail, once each has an outcome."""
        assert answer.is_success, (answer.status_code, answer.text)
        return [self.event(one["id"]) for one in answer.json()["events"]]

    def event(self, event_id: str) -> dict[str, Any]:
        """One event with its outcome."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            answer = self._api.get(f"/api/v1/events/{event_id}")
            if answer.status_code == 200:
                found.update(answer.json())
            return bool(found) and found["outcome"]["state"] != "in_flight"

        _until(ended, lambda: f"event {event_id} has no outcome: {found}")
        return found

    def order(self, order_id: str, gateway: str, *, events: int = 1) -> list[dict[str, Any]]:
        """The events of an order in the sequence they came, at least so many, each with its
        outcome.
        """
        found: list[dict[str, Any]] = []

        def there() -> bool:
            listed = self._api.get(
                "/api/v1/events", params={"order_id": order_id, "gateway": gateway}
            ).json()["events"]
            found[:] = sorted(listed, key=lambda one: one["received_at"])
            return len(found) >= events

        _until(
            there, lambda: f"order {order_id} of {gateway} has {len(found)} events, not {events}"
        )
        return [self.event(one["id"]) for one in found]

    def sent(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """What Meta was sent of an event, as sent."""
        answer = self._http.get(
            f"{self.ready['sandbox']}/_sandbox/events",
            params={"pixel": PIXEL, "event_id": event["event_id"]},
        )
        kept = answer.json()["events"]
        assert kept, f"Meta was sent nothing of {event['id']}: {event['outcome']}"
        sent: dict[str, Any] = kept[0]["event"]
        return sent

    def explained(self, order: str) -> str:
        """`sinal explain ORDER`, whose lines are broken to fit a terminal."""
        environment = {
            **os.environ,
            "SINAL_API_URL": self.ready["api"],
            "SINAL_API_KEY": self.ready["admin_key"],
        }
        ran = subprocess.run(
            [sys.executable, "-m", "sinal_cli", "explain", order],
            capture_output=True, text=True, check=False, env=environment, timeout=60,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def declare(self, changes: Mapping[str, Any]) -> None:
        """Give the bare funnel these fields; the platform applies them while it runs."""
        self._file.write_text(manifests(changes))

    def replayed(self, event_id: str, *, until: str) -> dict[str, Any]:
        """The event once a replay of it ends so.

        It is replayed again as long as it ends otherwise.
        """
        found: dict[str, Any] = {}

        def ended() -> bool:
            answer = self._api.post(f"/api/v1/replay/{event_id}", json={})
            assert answer.is_success, answer.text
            found.update(self.event(event_id))
            return bool(found["outcome"]["state"] == until)

        _until(ended, lambda: f"a replay of {event_id} ends with {found['outcome']}")
        return found

    def pays(self, payment: str, raw: bytes) -> None:
        """What Mercado Pago's API says of a payment from now on."""
        self._payments[f"/v1/payments/{payment}"] = raw


def digest(text: str) -> str:
    """SHA-256 as Meta is sent it."""
    return hashlib.sha256(text.encode()).hexdigest()


def shopify_proof(raw: bytes) -> str:
    """What Shopify signs a body with."""
    return base64.b64encode(hmac.new(b"demo-shopify", raw, hashlib.sha256).digest()).decode()


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A platform by `sinal up` with every gateway, and an API of Mercado Pago's beside it.

    Stopped at the end.
    """
    payments: dict[str, bytes] = {}
    api = ThreadingHTTPServer(("127.0.0.1", 0), _payments_of(payments))
    threading.Thread(target=api.serve_forever, daemon=True).start()
    (folder / "all.yaml").write_text(manifests())
    ready_file, output = folder / "ready.json", folder / "output.txt"
    urls = json.dumps({"mercadopago": f"http://127.0.0.1:{api.server_address[1]}"})
    command = [
        sys.executable,
        "-m",
        "sinal_cli",
        "up",
        "--file",
        str(folder / "all.yaml"),
        "--port",
        str(free_port(in_a_row=4)),
    ]
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--data", str(folder / "data"), "--ready-file", str(ready_file)],
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "SINAL_READBACK_URLS": urls},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + STACK_S
        while not ready_file.exists():
            assert process.poll() is None and time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        stage = Stage(json.loads(ready_file.read_text()), payments, folder / "all.yaml")
        with contextlib.closing(stage):
            yield stage
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, output.read_text()
        api.shutdown()
        api.server_close()


def _payments_of(payments: Mapping[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Payments(BaseHTTPRequestHandler):
        """Payments by path, 404 for others."""

        def do_GET(self) -> None:
            raw = payments.get(self.path)
            self.send_response(200 if raw is not None else 404)
            self.send_header("Content-Length", str(len(raw or b"")))
            self.end_headers()
            self.wfile.write(raw or b"")

        def log_message(self, *_: object) -> None:
            """Nothing on the test's terminal."""

    return Payments


def _until(condition: Any, otherwise: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)
