"""What the edge counts of deliveries that no event comes of, and that telling it costs and loses nothing."""

from __future__ import annotations

from sinal_crds.names import TALLY_SUBJECT
from sinal_runtime.bus.errors import BusUnavailable
from sinal_runtime.events import Tally, decode_tallies
from sinal_runtime.ingest.tally import HOUR_S, MOST, Tallying

from tests.support.fix_ingest import SECRET, TOKEN, EdgeWorld, a_sale

URL = f"/api/v1/webhooks/signed/{TOKEN}"
SIGNED = {"x-signature": SECRET}


class Listener:
    """Housekeeping, as far as the edge sees it; `down` takes nothing."""

    def __init__(self) -> None:
        self.told: list[list[Tally]] = []
        self.down = False

    async def call(self, subject: str, body: bytes = b"", *, timeout_s: float = 5.0) -> object:
        assert subject == TALLY_SUBJECT
        if self.down:
            raise BusUnavailable("away")
        self.told.append(decode_tallies(body).tallies)
        return None


class Clock:
    now = 1_764_014_400.0 - 60

    def time(self) -> float:
        return self.now


def tallying() -> tuple[Tallying, Clock, Listener]:
    clock = Clock()
    return Tallying(worker="edge-1", clock=clock), clock, Listener()


async def test_a_refused_delivery_counts_for_the_integration_whose_url_it_was(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    for _ in range(2):
        assert (await client.post(URL, [a_sale()], headers={"x-signature": "forged"})).status == 401
    assert (await client.post("/api/v1/webhooks/signed/unknown", [a_sale()], headers=SIGNED)).status == 401
    assert (await client.post(URL, [a_sale()], headers=SIGNED)).status == 202
    listener = Listener()
    await edge_world.tally.tell(listener)
    ((found,),) = listener.told
    assert (found.tenant, found.integration, found.rejects, found.drift) == ("loja", "vendas", 2, 0)


async def test_a_believed_delivery_that_nobody_understands_is_drift_and_a_sign_of_life(edge_world: EdgeWorld) -> None:
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
