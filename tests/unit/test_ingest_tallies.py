"""What the edge counts of deliveries that no event comes of, and that telling it costs and loses
nothing.
"""

from __future__ import annotations

import msgspec
from structlog.testing import capture_logs

from sinal_core.nats.errors import BusUnavailable
from sinal_crds.names import TALLY_SUBJECT
from sinal_hub.intake.counters import MOST, IntegrationCounters
from sinal_hub.intake.refusal import Refusal
from sinal_hub.intake.refusal_counters import (
    HOUR_S,
    LOG_EVERY_S,
    MOST_NETWORKS,
    MOST_STRANGERS,
    RefusalCounters,
)
from sinal_hub.model.events import Refused, Spooled, Tally, decode_tallies, encode
from sinal_hub.spool import SpoolState

from tests.support.fix_ingest import SECRET, TOKEN, EdgeWorld, a_sale, a_tenant

URL = f"/api/v1/webhooks/signed/{TOKEN}"
SIGNED = {"x-signature": SECRET}


class Listener:
    """Housekeeping, as far as the edge sees it; `down` takes nothing."""

    def __init__(self) -> None:
        self.told: list[list[Tally]] = []
        self.refused: list[list[Refused]] = []
        self.spools: list[Spooled | None] = []
        self.down = False

    async def call(self, subject: str, body: bytes = b"", *, timeout_s: float = 5.0) -> object:
        assert subject == TALLY_SUBJECT
        if self.down:
            raise BusUnavailable("away")
        said = decode_tallies(body)
        self.told.append(said.tallies)
        self.refused.append(said.refused)
        self.spools.append(said.spool)
        return None


class Clock:
    now = 1_764_014_400.0 - 60

    def time(self) -> float:
        return self.now


def tallying() -> tuple[IntegrationCounters, Clock, Listener]:
    clock = Clock()
    return IntegrationCounters(worker="edge-1", clock=clock), clock, Listener()


async def test_a_refused_delivery_counts_for_the_integration_whose_url_it_was(
    edge_world: EdgeWorld,
) -> None:
    client = edge_world.client()
    for _ in range(2):
        assert (await client.post(URL, [a_sale()], headers={"x-signature": "forged"})).status == 401
    assert (
        await client.post("/api/v1/webhooks/signed/unknown", [a_sale()], headers=SIGNED)
    ).status == 401
    assert (await client.post(URL, [a_sale()], headers=SIGNED)).status == 202
    listener = Listener()
    await edge_world.tally.tell(listener)
    ((found,),) = listener.told
    assert (found.tenant, found.integration, found.rejects, found.drift) == ("loja", "vendas", 2, 0)


async def test_a_believed_delivery_that_nobody_understands_is_drift_and_a_sign_of_life(
    edge_world: EdgeWorld,
) -> None:
    assert (await edge_world.client().post(URL, b"no sale", headers=SIGNED)).status == 202
    listener = Listener()
    await edge_world.tally.tell(listener)
    ((found,),) = listener.told
    assert (found.integration, found.rejects, found.drift) == ("vendas", 0, 1)
    assert found.last_at is not None


async def test_only_what_was_counted_since_is_told_and_as_the_sum_of_its_hour() -> None:
    tally, _, listener = tallying()
    await tally.tell(listener)
    assert listener.told == []
    tally.rejected("loja", "a")
    tally.rejected("loja", "b")
    await tally.tell(listener)
    tally.rejected("loja", "a")
    await tally.tell(listener)
    assert [[(one.integration, one.rejects) for one in told] for told in listener.told] == [
        [("a", 1), ("b", 1)],
        [("a", 2)],
    ]


async def test_what_is_counted_while_nobody_listens_is_told_later_each_hour_by_itself() -> None:
    tally, clock, listener = tallying()
    listener.down = True
    tally.rejected("loja", "a")
    await tally.tell(listener)
    clock.now += HOUR_S
    tally.rejected("loja", "a")
    await tally.tell(listener)
    listener.down = False
    await tally.tell(listener)
    (told,) = listener.told
    assert [(one.hour, one.rejects) for one in told] == [(1_764_010_800, 1), (1_764_014_400, 1)]


async def test_counts_of_an_hour_that_is_over_and_told_are_forgotten() -> None:
    tally, clock, listener = tallying()
    tally.drifted("loja", "a")
    await tally.tell(listener)
    clock.now += HOUR_S
    tally.drifted("loja", "a")
    await tally.tell(listener)
    assert len(tally._counts) == 1


async def test_a_flood_of_integrations_is_told_in_pieces() -> None:
    tally, _, listener = tallying()
    for number in range(MOST + 1):
        tally.rejected("loja", f"i{number:04}")
    await tally.tell(listener)
    assert [len(told) for told in listener.told] == [MOST, 1]


async def refused(world: EdgeWorld) -> list[Refused]:
    listener = Listener()
    await world.tally.tell(listener)
    return [one for told in listener.refused for one in told]


async def test_a_refusal_says_whose_it_was_why_and_from_which_network(
    edge_world: EdgeWorld,
) -> None:
    client = edge_world.client(host="t.loja.example", peer="203.0.113.77")
    other_host = edge_world.client(host="t.outra.example", peer="2001:db8:1:2::9")
    for path, headers in (
        (URL, {"x-signature": "forged"}),
        (URL, {"x-signature": "forged again"}),
        (URL, {}),
        (f"/api/v1/webhooks/open/{TOKEN}", SIGNED),
        ("/api/v1/webhooks/signed/unknown", SIGNED),
        ("/api/v1/webhooks/nobodys/unknown", SIGNED),
        ("/api/v1/webhooks/signed", {}),
    ):
        assert (await client.post(path, [a_sale()], headers=headers)).status == 401
    assert (
        await other_host.post("/api/v1/webhooks/signed/unknown", [a_sale()], headers=SIGNED)
    ).status == 401
    assert (
        await other_host.post("/t/nobody/api/v1/webhooks/signed/x", b"", headers={})
    ).status == 404
    found = await refused(edge_world)
    told = {
        (one.tenant, one.integration, one.gateway, one.reason, one.missing, one.network)
        for one in found
    }
    here, there = "203.0.113.0/24", "2001:db8:1::/48"
    assert told == {
        ("loja", "vendas", "signed", "proof_wrong", "", here),
        ("loja", "vendas", "signed", "proof_missing", "x-signature", here),
        ("loja", "vendas", "open", "other_gateway", "", here),
        ("loja", "", "signed", "unknown_url", "", here),
        ("loja", "", "", "unknown_url", "", here),
        ("outra", "", "signed", "unknown_url", "", there),
        ("", "", "signed", "unknown_tenant", "", there),
    }
    assert [one.deliveries for one in found if one.reason == "proof_wrong"] == [2]


async def test_what_is_told_of_a_refusal_holds_nothing_of_its_body_and_no_credential(
    edge_world: EdgeWorld,
) -> None:
    await edge_world.client().post(
        f"{URL}?signature=s3cret", [a_sale()], headers={"x-signature": "f0rged"}
    )
    told = encode(await refused(edge_world)).decode()
    assert not [
        word for word in (SECRET, TOKEN, "f0rged", "s3cret", "HP1", "203.0.113.9") if word in told
    ]


async def test_deliveries_for_which_the_platform_is_not_ready_say_so(edge_world: EdgeWorld) -> None:
    bare = a_tenant()
    without = msgspec.structs.replace(bare.integrations[0], credentials={})
    edge_world.tenants = (msgspec.structs.replace(bare, integrations=(without,)),)
    assert (await edge_world.client().post(URL, [a_sale()], headers=SIGNED)).status == 503
    edge_world.tenants, edge_world.bus.error = (a_tenant(),), BusUnavailable("away")
    assert (await edge_world.client().post(URL, [a_sale()], headers=SIGNED)).status == 503
    assert {(one.integration, one.reason) for one in await refused(edge_world)} == {
        ("vendas", "no_credentials"),
        ("vendas", "not_stored"),
    }


def test_whoever_is_refused_all_day_fills_nothing_and_hides_nobody() -> None:
    clock = Clock()
    refusing = RefusalCounters(worker="edge-1", clock=clock)
    with capture_logs() as lines:
        for number in range(3 * MOST_STRANGERS):
            refusing.note(
                Refusal("unknown_url", f"t{number}", "", "hotmart", "", f"10.{number % 250}.0.0/24")
            )
        for number in range(100):
            refusing.note(
                Refusal("proof_wrong", "loja", "vendas", "hotmart", "", f"10.0.{number}.0/24")
            )
    told = refusing.untold(10_000)
    mine = [one for one in told if one.integration]
    assert len(told) <= MOST_STRANGERS + MOST_NETWORKS + 2
    assert sum(one.deliveries for one in told) == 3 * MOST_STRANGERS + 100
    assert (len(mine), sum(one.deliveries for one in mine)) == (MOST_NETWORKS + 1, 100)
    assert [line["event"] for line in lines] == ["webhook.refused"] * 2, (
        "one for strangers, one for the integration"
    )
    with capture_logs() as lines:
        refusing.note(Refusal("too_large", "loja", "vendas", "hotmart"))
    assert [line["reason"] for line in lines] == ["too_large"], (
        "another reason is not hidden by the first"
    )
    clock.now += LOG_EVERY_S
    with capture_logs() as lines:
        refusing.note(Refusal("proof_wrong", "loja", "vendas", "hotmart"))
    assert lines[0]["unsaid_before"] == 99
    refusing.told(told)
    clock.now += HOUR_S
    refusing.forget()
    assert [one.deliveries for one in refusing.untold(9)] == [1, 1], "only what was not told yet"


async def test_what_waits_on_the_disk_is_told_while_it_waits_and_once_when_it_is_gone() -> None:
    tally, _, listener = tallying()
    empty, full = SpoolState(False, True, 0, 0, 0.0), SpoolState(True, True, 3, 900, 12.0)
    for state in (empty, full, full, empty, empty):
        await tally.tell(listener, state)
    assert [one and (one.records, one.bytes) for one in listener.spools] == [
        (3, 900),
        (3, 900),
        (0, 0),
    ]
