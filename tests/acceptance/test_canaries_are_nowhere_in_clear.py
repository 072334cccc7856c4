"""People and secrets that come through every door are found nowhere in clear on any disk of the
platform.

Logs, JetStream, PostgreSQL (its files and its tables), Redis, the spool and the plans are searched
byte by byte, while some events are done, some wait in the queue and some in the spool.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import psycopg
import pytest
import redis.asyncio
from psycopg import sql

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer, DemoRequest
from sinal_cli.embedded.postgres import Postgres

from tests.support import canaries
from tests.support.canaries import Person, secret
from tests.support.platform import ADMIN_KEY, Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
VISIBLE = "campanha-visivel"  # what must be found, or the search is blind
ORIGIN = "https://loja.example"
LOST_KEY = f"sk_{canaries.CORE}lost"
SECRETS = {
    "meta-loja": {"accessToken": secret("meta"), "agencyToken": secret("agency")},
    "hotmart-loja": {"hottok": secret("hottok")},
    "kiwify-loja": {"token": secret("kiwify")},
    "stripe-loja": {"webhookSecret": "whsec_" + secret("stripe")},
    "perfectpay-loja": {"token": secret("perfectpay")},
    "braip-loja": {"basicAuthentication": secret("braip")},
}


class Doors:
    """Every way in, each with a person of its own."""

    def __init__(self, platform: Platform, session: aiohttp.ClientSession) -> None:
        self._platform, self._session = platform, session
        self._funnel = platform.minted["loja"]["funnels"]["curso"]
        self._base = f"{platform.ingest}/t/loja"
        self.people: list[Person] = []
        self.keys: list[str] = []
        self.accepted = 0

    def person(self, door: str) -> Person:
        self.people.append(Person.of(door))
        return self.people[-1]

    async def tracking(self) -> None:
        browser = {"Origin": ORIGIN, "Content-Type": "text/plain"}
        await self._track(
            "lead",
            self.fields(self.person("json"), self._funnel["public_key"]),
            202,
            headers=browser,
        )
        await self.server(self.person("server"))
        batch = {
            "events": [{"type": "lead", **self.fields(self.person(f"batch{n}"))} for n in range(3)]
        }
        packed = gzip.compress(json.dumps({**batch, "funnel": self._funnel["public_key"]}).encode())
        await self._track(
            "batch", packed, 202, headers={"Origin": ORIGIN, "Content-Encoding": "gzip"}, events=3
        )
        query = f"funnel={self._funnel['public_key']}&url={quote(self.page(self.person('gif')), safe='')}"
        url = f"{self._base}/api/v1/track/p.gif?{query}&utm_content={quote(self.people[-1].email)}"
        await self._send(
            "GET",
            url,
            200,
            headers={"Origin": ORIGIN, "Referer": self.page(self.person("referer"))},
        )
        self.accepted += 1

    async def server(self, person: Person) -> None:
        headers = {"Authorization": f"Bearer {self._funnel['server_key']}"}
        body = {
            **self.fields(person),
            "funnel": "curso",
            "client": {"ip": "177.10.1.1", "user_agent": "Mozilla/5.0"},
        }
        await self._track("initiate_checkout", body, 202, headers=headers)

    async def refused_tracking(self) -> None:
        person = self.person("refused")
        body = self.fields(person, self._funnel["public_key"])
        wrong = {**body, "value": person.email, "currency": person.cpf, "occurred_at": person.name}
        wrong |= {"order_id": f"{person.email}\x01"}
        await self._track("lead", wrong, 400, headers={"Origin": ORIGIN})
        await self._track("lead", json.dumps(body).encode()[:-7], 400, headers={"Origin": ORIGIN})
        await self._track("lead", body, 403, headers={"Origin": f"https://{canaries.CORE}.example"})
        await self._track("lead", body, 401, headers={"Authorization": f"Bearer {LOST_KEY}"})
        await self._send("POST", f"{self._base}/api/v1/track/{person.email}", 404, data=b"{}")

    async def webhooks(self) -> None:
        for delivery in self.deliveries():
            await self._send(
                "POST", self._hook(delivery), 202, data=delivery.body, headers=delivery.headers
            )
            self.accepted += 1

    async def refused_webhooks(self) -> None:
        for delivery in self.deliveries("forged-"):
            hook = self._hook(delivery, token=f"{canaries.CORE}token")
            await self._send("POST", hook, 401, data=delivery.body, headers=delivery.headers)
        person = self.person("odd")
        odd = {
            "event": 7,
            "buyer": {"name": person.name, "email": person.email, "document": person.cpf},
        }
        hottok = {"X-HOTMART-HOTTOK": SECRETS["hotmart-loja"]["hottok"]}
        hook = self._hook(DemoRequest("hotmart", b""))
        await self._send("POST", hook, 202, data=json.dumps(odd).encode(), headers=hottok)
        await self._send(
            "POST", hook, 202, data=f"{person.name} {person.phone}".encode(), headers=hottok
        )

    async def operations(self) -> None:
        person = self.person("api")
        admin = self._platform.admin
        events = f"{self._platform.api}/api/v1/events"
        for query in (
            f"email_sha256={quote(person.email)}",
            f"order_id={quote(person.email)}&tenant=loja",
        ):
            await self._send("GET", f"{events}?{query}", None, headers=admin)
        await self._send("GET", events, 401, headers={"Authorization": f"Bearer {LOST_KEY}"})
        await self._send("GET", f"{events}/{quote(person.email)}", 404, headers=admin)
        for path in ("privacy/erasures", "privacy/exports"):
            for who in ({"email": person.email}, {"phone": person.phone}):
                body = {"tenant": "loja", **who}
                await self._send(
                    "POST", f"{self._platform.api}/api/v1/{path}", None, json=body, headers=admin
                )
        made = {"tenant": "loja", "name": "canary", "role": "viewer"}
        answer = await self._send(
            "POST", f"{self._platform.api}/api/v1/keys", 201, json=made, headers=admin
        )
        self.keys.append(answer["key"])

    def fields(self, person: Person, funnel: str | None = None) -> dict[str, Any]:
        """A tracking event with a person wherever a page could put one."""
        user = {"email": person.email.upper(), "phone": person.phone_printed, "city": person.street}
        names = {"first_name": person.first_name, "last_name": person.last_name}
        found = {
            "user": {**user, **names},
            "url": self.page(person),
            "referrer": f"{ORIGIN}/u/{person.email}/p?cpf={person.cpf}",
            "external_id": person.email if "batch" in person.door else person.cpf,
            "utm": {"campaign": VISIBLE, "term": person.email},
            "value": "97.00",
            "currency": "BRL",
            "nome_completo": person.name,
        }
        return found if funnel is None else {**found, "funnel": funnel}

    def page(self, person: Person) -> str:
        """A landing page as mailings open it."""
        told = f"email={quote(person.email)}&nome={quote(person.name)}&cpf={person.cpf_printed}&tel={person.phone}"
        return f"{ORIGIN}/curso?utm_campaign={VISIBLE}&{told}#email={person.email}"

    def deliveries(self, prefix: str = "") -> Iterator[DemoRequest]:
        """One sale of each of the six gateways."""
        key = {name: next(iter(values.values())) for name, values in SECRETS.items()}
        order = f"{prefix}{time.time_ns()}"

        def buyer(gateway: str) -> Buyer:
            person = self.person(prefix + gateway)
            return Buyer(person.name, person.email, person.phone)

        yield self._filled(
            deliveries.hotmart(f"HP{order}", buyer("hotmart"), token=key["hotmart-loja"])
        )
        yield self._filled(
            deliveries.kiwify(f"k{order}", buyer("kiwify"), token=key["kiwify-loja"])
        )
        stripe = deliveries.stripe_completed(
            f"pi_{order}", buyer("stripe"), secret="whsec_", click_id=None
        )
        yield self._filled(stripe)
        yield self._filled(
            deliveries.perfectpay(f"PP{order}", buyer("perfectpay"), token=key["perfectpay-loja"])
        )
        yield self._filled(
            deliveries.appmax(str(time.time_ns() % 10**9), buyer("appmax"), event="OrderApproved")
        )
        yield self._filled(deliveries.braip(f"ven{order}", buyer("braip"), key=key["braip-loja"]))

    def _filled(self, delivery: DemoRequest) -> DemoRequest:
        """With document and street, signed again."""
        body = deliveries.encode(canaries.fill(json.loads(delivery.body), self.people[-1]))
        if delivery.gateway == "kiwify":
            token = SECRETS["kiwify-loja"]["token"].encode()
            return DemoRequest(
                "kiwify", body, query=f"signature={hmac.new(token, body, hashlib.sha1).hexdigest()}"
            )
        if delivery.gateway == "stripe":
            stamp = str(int(time.time()))
            token = SECRETS["stripe-loja"]["webhookSecret"].encode()
            signature = hmac.new(token, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            return DemoRequest("stripe", body, {"Stripe-Signature": f"t={stamp},v1={signature}"})
        return DemoRequest(delivery.gateway, body, delivery.headers, delivery.query)

    def _hook(self, delivery: DemoRequest, *, token: str | None = None) -> str:
        minted = self._platform.minted["loja"]["webhooks"][delivery.gateway]["token"]
        path = f"{self._base}/api/v1/webhooks/{delivery.gateway}/{token or minted}"
        return f"{path}?{delivery.query}" if delivery.query else path

    async def _track(
        self,
        kind: str,
        body: dict[str, Any] | bytes,
        status: int,
        *,
        headers: dict[str, str],
        events: int = 1,
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        await self._send(
            "POST", f"{self._base}/api/v1/track/{kind}", status, data=data, headers=headers
        )
        self.accepted += events if status == 202 else 0

    async def _send(self, method: str, url: str, status: int | None, **options: Any) -> Any:
        async with self._session.request(method, url, **options) as answer:
            text = await answer.text(errors="replace")
            assert answer.status == status if status else answer.status < 500, (
                url,
                answer.status,
                text,
            )
            return json.loads(text) if "json" in answer.headers.get("content-type", "") else None


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """The examples with secrets of our own.

    Whatever PostgreSQL could compress, it writes as it is.
    """
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    secrets = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": k}, "stringData": v}
        for k, v in SECRETS.items()
    ]
    (manifests / "secrets.yaml").write_text("---\n".join(json.dumps(one) + "\n" for one in secrets))
    for name in ("loja.yaml", "gateways.yaml"):
        text = (EXAMPLES / name).read_text()
        (manifests / name).write_text(
            text.replace("waitForClickSeconds: 60", "waitForClickSeconds: 1")
        )
    disk = tmp_path / "disk"
    settings = {"SINAL_SPOOL_DIR": str(disk / "spool"), "SINAL_LOG_LEVEL": "debug"}
    found = Platform(disk, [manifests], settings=settings)
    options = {"fsync": "off", "wal_compression": "off", "log_min_messages": "info"}
    found.postgres = Postgres(
        disk / "postgres", password="pg", log=disk / "logs" / "postgres.log", settings=options
    )
    try:
        await found.start()
        yield found
    finally:
        await found.stop()


async def test_nobody_is_found_on_any_disk(platform: Platform) -> None:
    async with aiohttp.ClientSession() as session:
        doors = Doors(platform, session)
        await doors.tracking()
        await doors.refused_tracking()
        await doors.webhooks()
        await doors.refused_webhooks()
        await doors.operations()
        await _save_redis(platform)  # now: its keys live for seconds
        await platform.settled(session, accepted=doors.accepted)
        platform.kill_role("match")
        await doors.server(doors.person("queued"))
        await platform.nats.stop()
        await doors.server(doors.person("spooled"))
    tables = await _dump(platform)
    await platform.stop()
    wanted = canaries.needles(_clear(platform, doors))
    found = {"tables": canaries.leaks(tables, wanted)}
    for path, data in canaries.files(platform.folder):
        if path.name != "keyring.json":
            found.setdefault(str(path.relative_to(platform.folder)), []).extend(
                canaries.leaks(data, wanted)
            )
    found = {place: what for place, what in found.items() if what}
    assert not found, "\n".join(
        f"{place}: {one}" for place, what in found.items() for one in what[:3]
    )
    _assert_not_blind(platform, tables)


def _clear(platform: Platform, doors: Doors) -> list[str]:
    minted = platform.minted["loja"]
    tokens = [hook["token"] for hook in minted["webhooks"].values()]
    keys = [funnel["server_key"] for funnel in minted["funnels"].values()]
    numbers = [number for person in doors.people for number in person.numbers]
    return [canaries.CORE, canaries.ACCENTED, ADMIN_KEY, *tokens, *keys, *doors.keys, *numbers]


def _assert_not_blind(platform: Platform, tables: bytes) -> None:
    """What may be stored is found in every place, so a person would have been too."""
    disk = platform.folder
    visible = {"tables": VISIBLE.encode() in tables}
    for name, text in (
        ("nats", VISIBLE),
        ("postgres", VISIBLE),
        ("spool", VISIBLE),
        ("redis", "loja"),
    ):
        visible[name] = any(text.encode() in data for _, data in canaries.files(disk / name))
    for log in ("ingest", "match", "dispatch", "api", "operator"):
        visible[log] = (disk / "logs" / f"{log}.log").stat().st_size > 0
    assert [place for place, seen in visible.items() if not seen] == []
    quarantined = [
        data for path, data in canaries.files(disk / "nats") if "sinal_quarantine" in str(path)
    ]
    assert any(b"hotmart" in data for data in quarantined)


async def _dump(platform: Platform) -> bytes:
    """Every row of every table as text: its files may hold parts of it compressed."""
    rows = bytearray()
    async with await psycopg.AsyncConnection.connect(
        platform.postgres.url(), autocommit=True
    ) as connection:
        names = await connection.execute(
            "select schemaname, tablename from pg_tables where schemaname !~ '^pg_|^info'"
        )
        for name in await names.fetchall():
            async with connection.cursor().copy(
                sql.SQL("copy (table {}) to stdout").format(sql.Identifier(*name))
            ) as copy:
                async for chunk in copy:
                    rows += chunk
        await connection.execute("checkpoint")
    return bytes(rows)


async def _save_redis(platform: Platform) -> None:
    async with redis.asyncio.Redis.from_url(platform.redis.url) as client:
        await client.config_set("rdbcompression", "no")
        await client.save()
