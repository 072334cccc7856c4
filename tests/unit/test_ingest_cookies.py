"""Cookies that the edge sets: for a page of the same site, with consent, and nobody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sinal_crds.plan import ConsentPlan
from sinal_hub.ingest.tracking.cookies import site

from tests.support.fix_ingest import PUBLIC_KEY, SERVER_KEY, EdgeWorld, a_tenant

PAGE = "https://www.loja.com.br"
OWN = "track.loja.com.br"
FBC, FBP = "fb.2.1780000000000.IwAR0abcDEF", "fb.2.1780000000000.1098115397"
VISIT = "S1abc.1780000000000.C1abc.1780000000000.1.1"
YES = {"funnel": PUBLIC_KEY, "consent_ads": True, "fbc": FBC, "fbp": FBP}
END = "; Domain=loja.com.br; Path=/; Secure; SameSite=Lax"


def shop(world: EdgeWorld, consent: ConsentPlan | None = None) -> EdgeWorld:
    tenant = a_tenant(hosts=(OWN,))
    funnel = msgspec.structs.replace(
        tenant.funnels[0],
        landing_hosts=("www.loja.com.br", "outra.com.br"),
        consent=consent or ConsentPlan(),
    )
    world.tenants = (msgspec.structs.replace(tenant, funnels=(funnel, *tenant.funnels[1:])),)
    return world


async def baked(
    world: EdgeWorld, said: dict[str, Any], *, host: str = OWN, path: str = "lead", **headers: str
) -> list[str]:
    told = {"origin": PAGE, "user-agent": "Mozilla/5.0", "content-type": "text/plain", **headers}
    reply = await world.client(host=host).post(f"/api/v1/track/{path}", said, headers=told)
    assert reply.status == 202, reply.body
    return sorted(reply.set_cookies)


@pytest.mark.parametrize("path", ["lead", "batch"])
async def test_a_page_of_the_same_site_gets_its_cookies_for_ninety_days(
    edge_world: EdgeWorld, path: str
) -> None:
    said: dict[str, Any] = (
        YES if path == "lead" else {"events": [{"type": "click", **YES}, {"type": "lead", **YES}]}
    )
    found = await baked(shop(edge_world), said, path=path, cookie=f"_sinal={VISIT}; other=1")
    assert found == [
        f"{name}={value}; Max-Age=7776000{END}"
        for name, value in (("_fbc", FBC), ("_fbp", FBP), ("_sinal", VISIT))
    ]


async def test_a_newer_click_takes_the_place_of_the_cookie(edge_world: EdgeWorld) -> None:
    said = {"funnel": PUBLIC_KEY, "consent_ads": True, "url": f"{PAGE}/?fbclid=IwAR9newer"}
    (found,) = await baked(shop(edge_world), said, cookie=f"_fbc={FBC}")
    assert found.startswith("_fbc=fb.") and ".IwAR9newer; " in found


@pytest.mark.parametrize(
    ("consent", "said", "sets"),
    [
        (ConsentPlan(), None, True),
        (ConsentPlan(default="Denied"), None, False),
        (ConsentPlan(cookies_before_consent=False), None, False),
        (ConsentPlan(default="Denied", cookies_before_consent=False), True, True),
    ],
)
async def test_cookies_are_set_with_consent_only(
    edge_world: EdgeWorld, consent: ConsentPlan, said: bool | None, sets: bool
) -> None:
    assert bool(await baked(shop(edge_world, consent), YES | {"consent_ads": said})) is sets


async def test_where_the_country_asks_for_consent_silence_sets_none(edge_world: EdgeWorld) -> None:
    world = shop(edge_world, ConsentPlan(required_in=("PT",)))
    world.settings = {"trusted_proxies": 1, "country_header": "CF-IPCountry"}
    there = {"x-forwarded-for": "198.51.100.1", "cf-ipcountry": "PT"}
    assert await baked(world, YES | {"consent_ads": None}, **there) == []
    assert len(await baked(world, YES, **there)) == 2


async def test_a_no_ends_the_cookies_that_came(edge_world: EdgeWorld) -> None:
    found = await baked(
        shop(edge_world), YES | {"consent_ads": False}, cookie=f"_fbp={FBP}; _sinal={VISIT}"
    )
    assert found == [f"{name}=; Max-Age=0{END}" for name in ("_fbp", "_sinal")]
    assert await baked(shop(edge_world), YES | {"consent_ads": False}) == []


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("ingest.example", {}),
        (OWN, {"origin": "https://outra.com.br"}),
        (OWN, {"authorization": f"Bearer {SERVER_KEY}"}),
        (OWN, {"user-agent": "facebookexternalhit/1.1"}),
    ],
)
async def test_nobody_else_gets_cookies(
    edge_world: EdgeWorld, host: str, headers: dict[str, str]
) -> None:
    said = YES | ({"funnel": "curso"} if "authorization" in headers else {})
    assert await baked(shop(edge_world), said, host=host, **headers) == []


async def test_what_a_sender_writes_into_a_cookie_does_not_leave_it(edge_world: EdgeWorld) -> None:
    for text in ("a, b", "a b", "a\\", "x" * 1_025, '<"'):
        found = await baked(
            shop(edge_world), {"funnel": PUBLIC_KEY, "consent_ads": True}, cookie=f"_sinal={text}"
        )
        assert found == []


@pytest.mark.parametrize(
    ("host", "page", "domain"),
    [
        ("track.loja.com.br", "www.loja.com.br", "loja.com.br"),
        ("track.loja.com.br", "loja.com.br", "loja.com.br"),
        ("loja.com", "loja.com", "loja.com"),
        ("t.eu.loja.com", "www.loja.com", "loja.com"),
        ("t.loja.com.br", "outra.com.br", None),
        ("t.loja.com", "outra.com", None),
        ("a.vercel.app", "b.vercel.app", None),
        ("loja.adv.br", "outra.adv.br", None),
        ("10.0.0.1", "10.0.0.1", None),
        ("localhost", "localhost", None),
        ("track.loja.com", "", None),
    ],
)
def test_the_domain_of_a_site_has_one_owner(host: str, page: str, domain: str | None) -> None:
    assert site(host, page) == domain
