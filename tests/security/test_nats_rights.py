"""Attack: the edge is taken over, and with it its user of NATS: it writes plans, reads queues,
deletes streams.

Every role of a running platform has its own user here. Its real work passes, and the server refuses
nothing of it; of what is not its work, the server refuses everything.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StreamConfig

from sinal_cli.embedded.nats import Nats
from sinal_crds import names
from sinal_crds.rights import RIGHTS, inbox, users

from tests.support.eventually import eventually
from tests.support.nats_process import NatsProcess
from tests.support.platform import ROLES, Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE = "https://loja.example"
BUCKETS = (
    names.PLANS_BUCKET,
    names.QUARANTINE_BUCKET,
    names.STATUS_BUCKET,
    names.DEPARTURES_BUCKET,
)
REFUSED = ("Violation", "violation")
DOCS = Path(__file__).parents[2] / "docs" / "operators" / "install.md"


def password(role: str) -> str:
    return f'"of-{role}"'


class NatsWithUsers(Nats):
    """The embedded server with a user for each role, and one for whoever sets the stage."""

    def of(self, role: str) -> str:
        """URL of a role's user."""
        return f"nats://sinal-{role}:of-{role}@127.0.0.1:{self.port}"

    def _config(self) -> str:
        lines = super()._config().splitlines()
        stage = f'{{ user: "sinal", password: "{self._password}" }}'
        block = f"authorization {{ users: [\n{stage}\n{users(password)}\n] }}"
        return (
            "\n".join([block if line.startswith("authorization") else line for line in lines])
            + "\n"
        )


class Apart(Platform):
    """A platform whose roles have their own users."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [EXAMPLES], settings={"SINAL_FACTS_INTERVAL_S": "1"})
        self.users = NatsWithUsers(
            folder / "nats", password="nats", log=folder / "logs" / "nats.log"
        )
        self.nats = self.users

    def _environment(self, role: str) -> dict[str, str]:
        spool = {"SINAL_SPOOL_DIR": str(self.folder / "spool")} if role == "ingest" else {}
        return {**super()._environment(role), "SINAL_NATS_URL": self.users.of(role), **spool}

    def refused(self) -> list[str]:
        """What the server has refused to anybody."""
        log = (self.folder / "logs" / "nats.log").read_text()
        return [line for line in log.splitlines() if any(word in line for word in REFUSED)]


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Apart]:
    made = Apart(tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def sell(platform: Apart, session: aiohttp.ClientSession, order: str) -> None:
    """A visit, a sale, and a delivery that nobody understands."""
    keys = platform.minted["loja"]["funnels"]["curso"]
    page = {"funnel": keys["public_key"], "url": f"{PAGE}/?utm_source=fb"}
    async with session.post(
        f"{platform.ingest}/t/loja/api/v1/track/pageview", json=page, headers={"Origin": PAGE}
    ) as one:
        assert one.status == 202, await one.text()
    sale = {
        "id": order, "creation_date": int(time.time() * 1000), "event": "PURCHASE_APPROVED", "version": "2.0.0",
        "data": {
            "product": {"id": 1, "name": "Curso"}, "buyer": {"email": f"{order}@loja.example".lower()},
            "purchase": {"transaction": order, "status": "APPROVED", "price": {"value": 10, "currency_value": "BRL"}},
        },
    }  # fmt: skip
    proof = {"x-hotmart-hottok": hottok()}
    for body in (sale, {"no": "sale"}):
        async with session.post(
            platform.webhook("loja", "hotmart"), json=body, headers=proof
        ) as one:
            assert one.status == 202, await one.text()


def hottok() -> str:
    """The gateway's secret, as the examples have it."""
    import yaml

    for file in EXAMPLES.glob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if (
                document
                and document["kind"] == "Secret"
                and "hottok" in document.get("stringData", {})
            ):
                return str(document["stringData"]["hottok"])
    raise LookupError("hottok")


async def test_all_roles_do_their_work_and_nothing_of_it_is_refused(platform: Apart) -> None:
    async with aiohttp.ClientSession() as session:
        await sell(platform, session, "HP1")
        await platform.settled(session, accepted=2)

        async def asked(method: str, path: str, **options: Any) -> Any:
            async with session.request(
                method, f"{platform.api}/api/v1/{path}", headers=platform.admin, **options
            ) as one:
                assert one.status < 300, (path, await one.text())
                return await one.json()

        (kept,) = (await asked("GET", "quarantine?tenant=loja"))["deliveries"]
        await asked("POST", f"quarantine/{kept['id']}/reparse")
        await asked("GET", "status")
        whose = {"tenant": "loja", "email": "hp1@loja.example"}
        await asked("POST", "privacy/exports", json=whose)
        erasure = await asked("POST", "privacy/erasures", json=whose)
        async with asyncio.timeout(60):
            while (await asked("GET", f"privacy/erasures/{erasure['id']}"))["state"] != "done":
                await asyncio.sleep(0.2)

        # and from the start once more, on what is there
        for role in ("match", "dispatch", "ingest"):
            await platform.roles[role].stop()
            platform.start_role(role)
        await platform.roles["ingest"].ready(lambda: platform._ready("ingest"))
        await sell(platform, session, "HP2")
        await platform.settled(session, accepted=4)
    assert platform.refused() == []
    attacker = await nats.connect(platform.users.of("ingest"), error_cb=ignored, connect_timeout=60)
    await attacker.publish("$KV.sinal_plans.loja", b"{}")
    await attacker.flush()
    await attacker.close()
    await eventually(lambda: len(platform.refused()) == 1)  # which is where it would have been


async def ignored(_: Exception) -> None:
    """The server's word to the client; its log has it as well."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsProcess]:
    """A server with the roles' users and what the operator makes for two tenants."""
    config = tmp_path / "users.conf"
    config.write_text(f"authorization {{ users: [\n{users(password)}\n] }}\n")
    process = NatsProcess(tmp_path, config=config)
    process.start()
    client = await connected(process, "operator")
    jetstream = client.jetstream()
    for bucket in BUCKETS:
        await jetstream.create_key_value(bucket=bucket)
    await (await jetstream.key_value(names.PLANS_BUCKET)).put("loja", b"the plan")
    await jetstream.add_stream(StreamConfig(name="T-loja", subjects=["t.loja.>"]))
    yield process
    left = await jetstream.key_value(names.PLANS_BUCKET)
    assert (await left.get("loja")).value == b"the plan"
    streams = {info.config.name for info in await jetstream.streams_info()}
    assert streams == {"T-loja", *(f"KV_{bucket}" for bucket in BUCKETS)}
    await client.close()
    process.stop()


async def connected(server: NatsProcess, role: str, heard: list[str] | None = None) -> Client:
    async def failed(error: Exception) -> None:
        if heard is not None:
            heard.append(str(error).lower())

    return await nats.connect(
        server.url, user=f"sinal-{role}", password=f"of-{role}", inbox_prefix=inbox(role).encode(), error_cb=failed,
        connect_timeout=60,
    )  # fmt: skip


WRITES = {
    "writes a plan": "$KV.sinal_plans.loja",
    "removes plans": "$JS.API.STREAM.PURGE.KV_sinal_plans",
    "deletes the plans": "$JS.API.STREAM.DELETE.KV_sinal_plans",
    "deletes a queue": "$JS.API.STREAM.DELETE.T-loja",
    "makes a stream": "$JS.API.STREAM.CREATE.mine",
    "changes a stream": "$JS.API.STREAM.UPDATE.T-loja",
    "deletes a worker's place": "$JS.API.CONSUMER.DELETE.T-loja.match",
    "makes itself a place in a queue": "$JS.API.CONSUMER.CREATE.T-loja",
    "has what it set aside delivered as a plan": "$JS.API.CONSUMER.CREATE.KV_sinal_quarantine",
    "the same by name": "$JS.API.CONSUMER.CREATE.KV_sinal_quarantine.mine",
    "the same as older clients do": "$JS.API.CONSUMER.DURABLE.CREATE.KV_sinal_quarantine.mine",
    "answers in the server's name": "_INBOX.sinal-api.x",
    "restores a stream of its own making": "$JS.API.STREAM.RESTORE.KV_sinal_plans",
    "moves the leader": "$JS.API.STREAM.LEADER.STEPDOWN.T-loja",
}
EDGE_ONLY = {
    "takes from a queue": "$JS.API.CONSUMER.MSG.NEXT.T-loja.match",
    "reads a queue": "$JS.API.STREAM.MSG.GET.T-loja",
    "reads it directly": "$JS.API.DIRECT.GET.T-loja",
    "reads what was set aside": "$JS.API.STREAM.MSG.GET.KV_sinal_quarantine",
    "removes what was set aside": "$JS.API.STREAM.PURGE.KV_sinal_quarantine",
    "acks for a worker": "$JS.ACK.T-loja.match.1.1.1.1.0",
    "sends to a destination": "t.loja.out.pixel",
    "stops destinations": "sinal.stopped",
    "forgets a person on all disks": "sinal.forget",
    "says what statuses say": "$KV.sinal_status.loja",
}
WORKERS = [role for role in RIGHTS if role != "operator"]


@pytest.mark.parametrize("role", WORKERS)
async def test_nobody_but_the_operator_writes_plans_and_makes_streams(
    server: NatsProcess, role: str
) -> None:
    more = EDGE_ONLY if role == "ingest" else {}
    assert await refused_of(server, role, [*WRITES.values(), *more.values()]) == [
        *WRITES.values(),
        *more.values(),
    ]


async def refused_of(server: NatsProcess, role: str, subjects: list[str]) -> list[str]:
    """Which of them the server refuses to let a role say."""
    heard: list[str] = []
    client = await connected(server, role, heard)
    for subject in subjects:
        await client.publish(subject, b"{}")
    await eventually(lambda: len(heard) >= len(subjects), timeout_s=20)
    await client.close()
    return [
        subject
        for subject in subjects
        if any(f'publish to "{subject.lower()}"' in line for line in heard)
    ]


@pytest.mark.parametrize("role", WORKERS)
async def test_nobody_hears_what_others_are_answered(server: NatsProcess, role: str) -> None:
    heard: list[str] = []
    client = await connected(server, role, heard)
    foreign = [f"{inbox(other)}.>" for other in RIGHTS if other != role] + [
        "_INBOX.>",
        "t.>",
        "$KV.>",
        ">",
        "$JS.ACK.>",
    ]
    for subject in foreign:
        await client.subscribe(subject)
    await client.flush()
    await eventually(lambda: len(heard) >= len(foreign))
    assert all(
        any(f'subscription to "{subject.lower()}"' in line for line in heard) for subject in foreign
    )
    await client.close()


async def test_what_ingest_has_to_say_is_taken(server: NatsProcess) -> None:
    client = await connected(server, "ingest")
    for subject in ("t.loja.in.sale", f"$KV.{names.QUARANTINE_BUCKET}.loja.1"):
        assert json.loads((await client.request(subject, b"x", timeout=60)).data)["seq"] == 1
    with pytest.raises(NatsError):
        await client.request("$KV.sinal_plans.loja", b"mine", timeout=0.5)
    await client.close()


def test_every_role_has_rights() -> None:
    assert set(ROLES) | {"metrics-adapter"} == set(RIGHTS)


def test_the_page_has_the_users_ready_to_be_copied() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert users() in page
