"""Where a funnel asks for consent by the visitor's country, silence from there is a no.

Only our proxies tell where.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sinal_core.http.client_ip import Country
from sinal_crds.plan import DEFAULT_EVENTS, ConsentPlan, DestinationPlan, FunnelPlan, TenantPlan
from sinal_hub.matching import decision as rules
from sinal_hub.matching.visitors import click_rows
from sinal_hub.model.events import Event

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, EdgeWorld, a_tenant

PAGE = {"origin": LANDING, "user-agent": "Mozilla/5.0 (iPhone)", "content-type": "text/plain"}
BEHIND = {"trusted_proxies": 1, "country_header": "CF-IPCountry"}


def asking(world: EdgeWorld, settings: dict[str, Any] | None = None) -> EdgeWorld:
    tenant = a_tenant()
    funnels = tuple(
        msgspec.structs.replace(funnel, consent=ConsentPlan(required_in=("DE", "PT")))
        for funnel in tenant.funnels
    )
    world.tenants = (msgspec.structs.replace(tenant, funnels=funnels), *world.tenants[1:])
    world.settings = dict(BEHIND if settings is None else settings)
    return world


@pytest.mark.parametrize(
    ("headers", "required"),
    [
        ({"cf-ipcountry": "DE"}, True),
        ({"cf-ipcountry": " pt "}, True),
        ({"cf-ipcountry": "BR"}, False),
        ({"cf-ipcountry": "XX"}, False),
        ({"cf-ipcountry": "BR, DE"}, True),
        ({}, False),
    ],
)
async def test_a_visitor_from_there_has_not_consented_by_silence(
    edge_world: EdgeWorld, headers: dict[str, str], required: bool
) -> None:
    told = PAGE | {"x-forwarded-for": "198.51.100.1"} | headers
    reply = (
        await asking(edge_world)
        .client()
        .post("/api/v1/track/pageview", {"funnel": PUBLIC_KEY}, headers=told)
    )
    assert reply.status == 202
    assert edge_world.bus.events[0].consent_required is required


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        # no proxy is trusted
        ({"country_header": "CF-IPCountry"}, {"x-forwarded-for": "198.51.100.1"}),
        (BEHIND, {}),  # it came round the proxy
        (BEHIND | {"trusted_proxies": 2}, {"x-forwarded-for": "198.51.100.1"}),
        ({"trusted_proxies": 1}, {"x-forwarded-for": "198.51.100.1"}),  # no header is named
    ],
)
async def test_a_senders_own_word_for_its_country_counts_for_nothing(
    edge_world: EdgeWorld, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    told = PAGE | {"cf-ipcountry": "DE"} | headers
    await (
        asking(edge_world, settings)
        .client()
        .post("/api/v1/track/pageview", {"funnel": PUBLIC_KEY}, headers=told)
    )
    assert edge_world.bus.events[0].consent_required is False


def test_the_country_of_nowhere_is_not_one() -> None:
    country = Country("X-Country", trusted_proxies=1)
    for told in ("", "T1", "ZZ", "Brasil", "D", "ÄÖ"):
        assert country.of({"x-forwarded-for": "198.51.100.1", "x-country": told}) is None


FUNNEL = FunnelPlan(
    name="curso",
    type="x",
    public_key="fk",
    server_key_sha256="",
    destinations=("a",),
    events=dict(DEFAULT_EVENTS),
)
TENANT = TenantPlan(
    slug="loja",
    namespace="n",
    name="loja",
    uid="u",
    funnels=(FUNNEL,),
    destinations=(DestinationPlan(name="a", pixel_id="1"),),
)


def visit(at: int = 1, **said: Any) -> Event:
    return Event(
        id=f"ev_{at}", key=f"k{at}", kind="pageview", tenant="loja", funnel="curso", received_at=at, occurred_at=at,
        source="browser", click_id="c1", consent_required=True, **said,
    )  # fmt: skip


@pytest.mark.parametrize(("said", "sent"), [(None, False), (False, False), (True, True)])
def test_only_a_yes_is_sent_from_there(said: bool | None, sent: bool) -> None:
    verdict = rules.visit_rules(TENANT, FUNNEL, visit(consent_ads=said))
    assert (verdict.action, verdict.reason) == (
        ("send", None) if sent else ("withhold", "no_consent")
    )


def test_the_sale_of_a_silent_visitor_from_there_is_withheld_and_of_one_who_agreed_is_not() -> None:
    (silent,) = click_rows([visit()])
    (agreed,) = click_rows([visit(1), visit(2, consent_ads=True)])
    found = [
        rules.consent_rules(FUNNEL, rules.Verdict("send"), None, row.consent_ads).reason
        for row in (silent, agreed)
    ]
    assert found == ["no_consent", None]


async def test_the_script_asks_first_where_it_must(edge_world: EdgeWorld) -> None:
    client = asking(edge_world).client(host="track.loja.example")

    async def script(country: str) -> tuple[bytes, str]:
        headers = {"x-forwarded-for": "198.51.100.1", "cf-ipcountry": country}
        reply = await client.get(f"/s.js?f={PUBLIC_KEY}", headers=headers)
        return reply.body, reply.headers["cache-control"]

    (there, kept), (here, _) = await script("DE"), await script("BR")
    assert b'",false,false,[' in there and b'",true,true,[' in here, (
        "consent and early cookies, before the hosts"
    )
    assert kept.startswith("private"), "a copy of one country is not for a shared cache"
