"""Attack: a public key and a forged Origin, and a few kilobytes of gzip that are hundreds of long
events.

Before: a tenant's limit was asked after the events were understood, so that what was refused had
cost 0.66 s of the edge's loop, and a single event over the limit was understood twice. Compressed
bodies were made into values before anybody had asked whose they are.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable

import msgspec
import pytest

from sinal_core.http import body
from sinal_core.http.exchange import Header, Request
from sinal_core.limiter import LocalLimiter
from sinal_core.nats.client import Published
from sinal_core.nats.errors import BusError
from sinal_core.plans.testing import StaticPlans
from sinal_crds.plan import Limits
from sinal_hub.ingest import app
from sinal_hub.ingest.settings import EdgeSettings
from sinal_hub.ingest.testing import Client
from sinal_hub.ingest.tracking import accept, glance
from sinal_hub.intake import tracking_schema

from tests.support.eventually import eventually
from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SECRET, TOKEN, EdgeWorld, a_tenant

PAGE = {"origin": LANDING}
LONG = "https://curso.example/?" + "&".join(f"p{n}={n}" for n in range(40))
EVENT = {"type": "pageview", "funnel": PUBLIC_KEY, "url": LONG}


class Acks:
    """A broker that has everything at once."""

    def begin(
        self,
        subject: str,
        body: bytes,
        *,
        msg_id: str,
        timeout_s: float,
        done: Callable[[Published | BusError], None],
    ) -> bool:
        done(Published(1, False))
        return True


@pytest.fixture
def understood(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every event whose fields were read."""
    found: list[object] = []
    read = tracking_schema.read

    def counting(fields: object, **options: object) -> object:
        found.append(fields)
        return read(fields, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tracking_schema, "read", counting)
    return found


async def test_a_batch_over_the_limit_is_refused_before_its_events_are_read(
    edge_world: EdgeWorld, understood: list[object]
) -> None:
    edge_world.tenants = (a_tenant(limits=Limits(events_per_minute=500)),)
    client = edge_world.client()
    batch = {"events": [EVENT] * 500}
    assert (await client.post("/api/v1/track/batch", batch, headers=PAGE)).status == 202
    assert len(understood) == 500
    for _ in range(3):
        refused = await client.post("/api/v1/track/batch", batch, headers=PAGE)
        assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
    assert len(understood) == 500


async def test_events_that_are_wrong_spend_the_limit_too(edge_world: EdgeWorld) -> None:
    edge_world.tenants = (a_tenant(limits=Limits(events_per_minute=10)),)
    client = edge_world.client()
    wrong = {"events": [EVENT | {"order_id": "a\0b"}] * 10}
    assert (await client.post("/api/v1/track/batch", wrong, headers=PAGE)).status == 400
    assert (await client.post("/api/v1/track/batch", wrong, headers=PAGE)).status == 429


async def test_what_is_inflated_has_a_ceiling_of_its_own(
    edge_world: EdgeWorld, understood: list[object]
) -> None:
    headers = PAGE | {"content-encoding": "gzip"}
    raw = msgspec.json.encode({"events": [EVENT | {"title": "x" * 3_000}] * 500})
    packed = gzip.compress(raw)
    edge_world.tenants = (a_tenant(limits=Limits(events_per_minute=5_000)),)
    client = edge_world.client()
    fits = accept.MIN_INFLATED_PER_MINUTE // len(raw)
    answers = [
        await client.post("/api/v1/track/batch", packed, headers=headers) for _ in range(fits + 3)
    ]
    assert [answer.status for answer in answers] == [202] * fits + [429] * 3
    assert "compressed" in answers[-1].json()["detail"] and len(understood) == fits * 500
    assert (
        await client.post("/api/v1/track/batch", {"events": [EVENT]}, headers=PAGE)
    ).status == 202


def packed(*, head: str, item: str, count: int) -> bytes:
    """A few kilobytes that are a body of a mebibyte, of very many values."""
    return gzip.compress(f'{{{head}"x":[{",".join([item] * count)}]}}'.encode())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every body whose values were made."""
    found: list[int] = []
    json_object = body.json_object

    def counting(raw: bytes) -> dict[str, object]:
        found.append(len(raw))
        return json_object(raw)

    monkeypatch.setattr(body, "json_object", counting)
    return found


@pytest.mark.parametrize(
    ("head", "headers", "status"),
    [
        ('"funnel":"fk_nobody",', PAGE, 404),
        (f'"funnel":"{PUBLIC_KEY}",', {"origin": "https://rival.example"}, 403),
        (f'"funnel":"{PUBLIC_KEY}",', {"authorization": "Bearer sk_wrong"}, 401),
        ('"funnel":[[],[]],', PAGE, 400),
        ("", PAGE, 400),
    ],
    ids=["key-of-nobody", "foreign-page", "wrong-server-key", "no-text", "no-key"],
)
@pytest.mark.parametrize("item", ["[]", "0.1", "{}"])
async def test_a_stranger_s_compressed_body_is_not_taken_apart(
    edge_world: EdgeWorld,
    decoded: list[int],
    head: str,
    headers: dict[str, str],
    status: int,
    item: str,
) -> None:
    """Before: 2 kB of gzip that are 700,000 empty lists took 1.5 s of the loop, without any key."""
    headers = headers | {"content-encoding": "gzip"}
    events = head + '"events":[{"type":"lead"}],'
    for path, start in (("lead", head), ("batch", events)):
        raw = packed(head=start, item=item, count=100_000)
        assert (
            await edge_world.client().post(f"/api/v1/track/{path}", raw, headers=headers)
        ).status == status
    assert decoded == []


async def test_a_compressed_body_has_no_more_values_than_a_plain_one(
    edge_world: EdgeWorld, decoded: list[int]
) -> None:
    raw = packed(head=f'"funnel":"{PUBLIC_KEY}",', item="[]", count=600_000)
    answer = await edge_world.client().post(
        "/api/v1/track/lead", raw, headers=PAGE | {"content-encoding": "gzip"}
    )
    assert (answer.status, decoded) == (400, [])
    assert [error["field"] for error in answer.json()["errors"]] == ["(body)"]


async def test_many_small_values_weigh_more_than_their_bytes(
    edge_world: EdgeWorld, decoded: list[int]
) -> None:
    edge_world.tenants = (a_tenant(limits=Limits(events_per_minute=1_000)),)
    client, headers = edge_world.client(), PAGE | {"content-encoding": "gzip"}
    raw = packed(head=f'"funnel":"{PUBLIC_KEY}",', item="0", count=250_000)
    fits = accept.MIN_INFLATED_PER_MINUTE // (250_000 * glance.VALUE_BYTES)
    answers = [
        await client.post("/api/v1/track/lead", raw, headers=headers) for _ in range(fits + 2)
    ]
    assert [answer.status for answer in answers] == [202] * fits + [429] * 2
    assert len(decoded) == fits


def short_way(world: EdgeWorld) -> tuple[app.Edge, list[int]]:
    edge = app.build(
        bus=world.bus,
        plans=StaticPlans(*world.tenants),
        limiter=LocalLimiter(clock=world.clock),
        quarantine=world.quarantine,
        settings=EdgeSettings(),
        clock=world.clock,
        beginner=Acks(),
    )
    return edge, []


async def test_one_event_over_the_limit_is_never_read_on_the_short_way(
    edge_world: EdgeWorld, understood: list[object]
) -> None:
    edge_world.tenants = (a_tenant(limits=Limits(events_per_minute=2)),)
    edge, answers = short_way(edge_world)

    def reply(status: int, headers: list[Header], body: bytes) -> None:
        answers.append(status)

    def visit(event: dict[str, str]) -> bool:
        headers = [(b"origin", LANDING.encode()), (b"host", b"x")]
        body = msgspec.json.encode(event)
        return edge.begin(
            Request.whole("POST", "/api/v1/track/pageview", headers=headers, body=body, peer=None),
            reply,
        )

    assert visit(EVENT)
    assert visit(EVENT | {"order_id": "a\0b"}), "what is wrong is named, and spends the limit"
    assert (len(understood), answers) == (2, [202, 400])
    assert visit(EVENT)
    await eventually(lambda: len(answers) == 3)
    assert (len(understood), answers) == (2, [202, 400, 429])


async def test_a_webhook_s_rate_is_asked_before_its_body_is_parsed(edge_world: EdgeWorld) -> None:
    parsed: list[bytes] = []
    gateway = edge_world.gateways["signed"]
    parse = gateway.parse

    def counting(raw: bytes, *, country: str = "BR", clear: bool = False) -> object:
        parsed.append(raw)
        return parse(raw, country=country, clear=clear)

    gateway.parse = counting  # type: ignore[method-assign, assignment]

    class Empty(LocalLimiter):
        """A limiter whose buckets of webhooks are used up."""

        async def take(self, bucket: str, cost: int, *, per_minute: int) -> float:
            return 7.0 if bucket.endswith(":webhooks") else 0.0

    edge = app.build(
        bus=edge_world.bus,
        plans=StaticPlans(*edge_world.tenants),
        limiter=Empty(clock=edge_world.clock),
        quarantine=edge_world.quarantine,
        settings=EdgeSettings(),
        gateways=edge_world.gateways,
        clock=edge_world.clock,
    )
    answer = await Client(edge).post(
        f"/api/v1/webhooks/signed/{TOKEN}", b"[]", headers={"x-signature": SECRET}
    )
    assert (answer.status, answer.headers["retry-after"], parsed) == (429, "7", [])
