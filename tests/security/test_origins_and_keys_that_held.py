"""Attacks that held: pages that only look like a landing page, and keys where they do not belong.

None of this was ever taken. It is here so that it stays so; what is asserted elsewhere is not
repeated.
"""

from __future__ import annotations

import msgspec
import pytest

from tests.support.fix_ingest import (
    LANDING,
    OTHER,
    OTHER_PUBLIC_KEY,
    PUBLIC_KEY,
    SERVER_KEY,
    EdgeWorld,
    a_tenant,
)

LEAD = "/api/v1/track/lead"
BATCH = "/api/v1/track/batch"
Headers = list[tuple[bytes, bytes]]

NO_LANDING_PAGE = [
    "https://curso.example, https://evil.example",
    "https://evil.example, https://curso.example",
    "https://curso.example https://evil.example",
    "https://curso.example\t.evil.example",
    "https://curso.example#evil.example",
    "https://curso.example?.evil.example",
    "https://curso.example:443:443",
    "https://curso.example:port",
    "https://evil.example:443@curso.example",
    "https://[::1]",
    "https://[::ffff:curso.example]",
    "ftp://curso.example",
    "javascript://curso.example/%0aalert(1)",
    "//curso.example",
    "curso.example",
    "https:curso.example",
    "https:///curso.example",
    "https://*.promo.example",
    "https://curso%2eexample",
    "https://CURSO.EXAMPLE.evil.example",
    "https://curs\u00f6.example",
    "*",
]


async def status(
    world: EdgeWorld, headers: Headers, *, host: str = "ingest.example", path: str = LEAD
) -> int:
    body = msgspec.json.encode({"funnel": PUBLIC_KEY})
    reply = await world.client(host=host).send("POST", path, [body], raw_headers=headers)
    assert (reply.status == 202) == bool(world.bus.messages)
    if reply.status == 403:
        assert "access-control-allow-credentials" not in reply.headers
    return reply.status


@pytest.mark.parametrize("origin", NO_LANDING_PAGE)
async def test_what_looks_like_a_landing_page_is_none(edge_world: EdgeWorld, origin: str) -> None:
    assert await status(edge_world, [(b"origin", origin.encode("latin-1"))]) == 403


@pytest.mark.parametrize(
    "origin", ["https://CURSO.example", "https://curso.example.", "http://curso.example:8443"]
)
async def test_another_way_to_write_it_is_the_same_host(edge_world: EdgeWorld, origin: str) -> None:
    """So that the list above is not refused because everything is."""
    assert await status(edge_world, [(b"origin", origin.encode())]) == 202


@pytest.mark.parametrize("names", [(b"origin", b"origin"), (b"Origin", b"oRIGIN")])
@pytest.mark.parametrize(
    "pages", [(LANDING, "https://evil.example"), ("https://evil.example", LANDING), (LANDING, "")]
)
async def test_two_origins_are_none(
    edge_world: EdgeWorld, names: tuple[bytes, bytes], pages: tuple[str, str]
) -> None:
    assert (
        await status(
            edge_world, [(name, page.encode()) for name, page in zip(names, pages, strict=True)]
        )
        == 403
    )


@pytest.mark.parametrize(
    "referer",
    [
        "https://curso.example.evil.example/",
        "https://curso.example@evil.example/",
        "https://evil.example/https://curso.example",
        "https://evil.example#@curso.example/",
        "https://evil.example?@curso.example/",
        "https://evil.example\\@curso.example/p",
        "ftp://curso.example/",
        "javascript:curso.example",
        "https://[curso.example]/",
        "https://promo.example/",
        "//curso.example/",
        "null",
    ],
)
async def test_a_referer_that_is_no_landing_page(edge_world: EdgeWorld, referer: str) -> None:
    assert await status(edge_world, [(b"referer", referer.encode())]) == 403


async def test_an_empty_or_null_origin_is_not_made_good_by_a_referer(edge_world: EdgeWorld) -> None:
    for origin in (b"", b"null"):
        assert (
            await status(edge_world, [(b"origin", origin), (b"referer", LANDING.encode())]) == 403
        )


@pytest.mark.parametrize(
    "key",
    [
        PUBLIC_KEY,
        "sak_of_the_platform",
        SERVER_KEY.upper(),
        SERVER_KEY + "x",
        SERVER_KEY[:-1],
        SERVER_KEY + ", Bearer " + SERVER_KEY,
        f'"{SERVER_KEY}"',
        "sk_",
        "sk_outra, " + SERVER_KEY,
        "sk_\x00",
    ],
)
async def test_no_other_key_is_a_server_key(edge_world: EdgeWorld, key: str) -> None:
    assert (
        await status(
            edge_world,
            [(b"authorization", b"Bearer " + key.encode()), (b"origin", LANDING.encode())],
        )
        == 401
    )


async def test_two_server_keys_are_none(edge_world: EdgeWorld) -> None:
    twice = [(b"authorization", f"Bearer {key}".encode()) for key in (SERVER_KEY, "sk_outra")]
    assert await status(edge_world, twice) == 401


@pytest.mark.parametrize(
    ("host", "path"),
    [("t.outra.example", LEAD), ("ingest.example", f"/t/outra{LEAD}"), ("t.outra.example", BATCH)],
)
async def test_a_server_key_works_at_its_tenant_s_places_only(
    edge_world: EdgeWorld, host: str, path: str
) -> None:
    body = {"funnel": "curso", "events": [{"type": "lead"}]}
    headers = {"authorization": f"Bearer {SERVER_KEY}"}
    assert (await edge_world.client(host=host).post(path, body, headers=headers)).status == 401
    assert (
        await edge_world.client(host="t.loja.example").post(LEAD, body, headers=headers)
    ).status == 202


@pytest.mark.parametrize("named", ["site", OTHER_PUBLIC_KEY, "outro", "fk_outro"])
async def test_a_server_key_writes_to_no_funnel_beside_its_own(
    edge_world: EdgeWorld, named: str
) -> None:
    (curso,) = a_tenant().funnels
    beside = msgspec.structs.replace(
        curso, name="outro", public_key="fk_outro", server_key_sha256=""
    )
    edge_world.tenants = (a_tenant(funnels=(curso, beside)), OTHER)
    headers = {"authorization": f"Bearer {SERVER_KEY}"}
    events = [{"type": "lead", "funnel": "curso"}, {"type": "lead", "funnel": named}]
    reply = await edge_world.client().post(BATCH, {"events": events}, headers=headers)
    assert (reply.status, [error["field"] for error in reply.json()["errors"]]) == (
        400,
        ["events[1].funnel"],
    )
    assert edge_world.bus.messages == []


async def test_a_page_says_nothing_of_its_visitor_s_address(edge_world: EdgeWorld) -> None:
    """`client` is believed of servers only: matching believes addresses."""
    said = {"funnel": PUBLIC_KEY, "client": {"ip": "1.2.3.4", "user_agent": "forged"}}
    client = edge_world.client(peer="203.0.113.9")
    headers = {
        "origin": LANDING,
        "user-agent": "own",
        "x-forwarded-for": "1.2.3.4",
        "forwarded": "for=1.2.3.4",
    }
    assert (await client.post(LEAD, said, headers=headers)).status == 202
    batch = {"events": [{"type": "lead", **said}]}
    assert (await client.post(BATCH, batch, headers=headers)).status == 202
    assert [(event.ip, event.user_agent) for event in edge_world.bus.events] == [
        ("203.0.113.9", "own")
    ] * 2


@pytest.mark.parametrize(
    "query",
    [
        "f=fk_curso%22%3B%3C/script%3E",
        "f=fk_curso&callback=alert(1)",
        "f=fk_outra",
        "f=fk_curso%0aalert(1)",
        "f=FK_CURSO",
        "f=*",
        "f=",
    ],
)
async def test_the_page_script_says_nothing_back(edge_world: EdgeWorld, query: str) -> None:
    client = edge_world.client()
    plain = (await client.get(f"/t/loja/s.js?f={PUBLIC_KEY}")).body
    reply = await client.get(f"/t/loja/s.js?{query}", headers={"x-forwarded-host": "evil.example"})
    assert reply.body == plain or len(reply.body) < 300
    assert not any(
        word in reply.body
        for word in (b"alert(", b"</script", b"evil.example", b"fk_outra", b"FK_")
    )
