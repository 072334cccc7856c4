"""Paths, methods, CORS, the pixel and the health endpoints."""

from __future__ import annotations

import re

import pytest
from prometheus_client import generate_latest

from sinal_core.nats.errors import BusUnavailable
from sinal_crds.names import own_path
from sinal_hub.ingest.testing import Client

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SERVER_KEY, TOKEN, EdgeWorld

LEAD = "/api/v1/track/lead"
PIXEL = "/api/v1/track/p.gif"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
}
GIF_HEAD = b"GIF89a\x01\x00\x01\x00"


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1/track/sale", "/api/v1/track/lead/", "/t/loja", "/t//api/v1/track/lead", "/t/LOJA/api/v1/track/lead",
     "/metrics", "/readyz", "/t/loja/metrics", "/api/v1/webhooks", "/api/v1/webhooks/a/b/c",
     "/t/loja/t/loja/api/v1/track/lead", "/api/v1/webhooks/../lead"],
)  # fmt: skip
async def test_other_paths_are_404_problems(edge_world: EdgeWorld, path: str) -> None:
    reply = await edge_world.client().post(path, b"{}")
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", LEAD, "OPTIONS, POST"),
        ("DELETE", "/api/v1/webhooks/signed/x", "OPTIONS, POST"),
        ("POST", PIXEL, "GET, HEAD, OPTIONS"),
        ("PUT", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
async def test_other_methods_are_405_and_name_the_right_ones(
    edge_world: EdgeWorld, method: str, path: str, allow: str
) -> None:
    reply = await edge_world.client().send(method, path)
    assert (reply.status, reply.headers["allow"]) == (405, allow)


OWN = own_path("loja")


@pytest.mark.parametrize(("host", "path"), [("t.loja.example", ""), ("a.example", "/t/loja")])
async def test_a_tenant_has_paths_of_its_own_that_no_block_list_names(
    edge_world: EdgeWorld, host: str, path: str
) -> None:
    assert not re.search(r"track|batch|collect|pixel|event|[aeiou]", OWN)
    client = edge_world.client(host=host)
    page = {"origin": LANDING, "content-type": "text/plain"}
    one = {"funnel": PUBLIC_KEY}
    batch = await client.post(
        f"{path}/{OWN}", one | {"events": [{"type": "lead"}, {"type": "identify"}]}, headers=page
    )
    single = await client.post(f"{path}/{OWN}/view_content", one, headers=page)
    image = await client.get(
        f"{path}/{OWN}?funnel={PUBLIC_KEY}", headers={"referer": LANDING + "/p"}
    )
    script = await client.get(f"{path}/{OWN}/s.js?f={PUBLIC_KEY}")
    assert (batch.status, single.status, image.status, script.status) == (202, 202, 200, 200)
    assert image.body.startswith(GIF_HEAD)
    assert [event.kind for event in edge_world.bus.events] == [
        "lead",
        "identify",
        "view_content",
        "pageview",
    ]
    assert batch.headers["access-control-allow-origin"] == LANDING
    assert (
        await client.send("OPTIONS", f"{path}/{OWN}", headers={"origin": LANDING, **PREFLIGHT})
    ).status == 204


@pytest.mark.parametrize(
    "path", [f"/{OWN[:-1]}b", f"/{OWN}b", f"/{OWN}/sale", f"/{OWN}/", "/bcdfghjkmnpq"]
)
async def test_a_word_that_only_looks_like_one_is_nobodys(edge_world: EdgeWorld, path: str) -> None:
    assert (await edge_world.client().post(path, b"{}")).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("token", [TOKEN, "nobody", ""])
async def test_a_panel_that_looks_at_a_webhook_s_url_is_answered_alike_whoever_s_it_is(
    edge_world: EdgeWorld, method: str, token: str
) -> None:
    reply = await edge_world.client().send(method, f"/api/v1/webhooks/signed/{token}".rstrip("/"))
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert reply.body.startswith(b"Webhooks are posted here.")  # the server drops it for HEAD
    assert edge_world.bus.messages == []


@pytest.mark.parametrize(
    ("host", "path"), [("a.example", "/t/loja"), ("t.loja.example", ""), ("a.example", "")]
)
async def test_preflight_lets_landing_hosts_in(edge_world: EdgeWorld, host: str, path: str) -> None:
    client = edge_world.client(host=host)
    reply = await client.send("OPTIONS", path + LEAD, headers={"origin": LANDING, **PREFLIGHT})
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == LANDING
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert reply.headers["access-control-max-age"] == "600"
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "content-type" in reply.headers["access-control-allow-headers"]
    assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/t/loja", "https://evil.example"),
        ("/t/outra", LANDING),
        ("/t/nobody", LANDING),
        ("", "null"),
    ],
)
async def test_preflight_of_others_gets_no_permission(
    edge_world: EdgeWorld, path: str, origin: str
) -> None:
    reply = await edge_world.client().send(
        "OPTIONS", path + LEAD, headers={"origin": origin, **PREFLIGHT}
    )
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert reply.headers["vary"] == "Origin"


async def test_page_may_read_its_answer_and_its_errors(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    for body, status in (({"funnel": PUBLIC_KEY}, 202), ({"funnel": 7}, 400)):
        reply = await client.post(LEAD, body, headers={"origin": LANDING})
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, LANDING)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://loja.example:8443", "null"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"funnel": PUBLIC_KEY}, 403),
        ({"funnel": "fk_nobody"}, 404),
        ({}, 400),
        ({"funnel": "x" * 300_000}, 413),
    ],
)
async def test_any_page_script_sees_that_it_is_refused_for_good(
    edge_world: EdgeWorld, origin: str, body: dict[str, str], status: int
) -> None:
    reply = await edge_world.client().post(LEAD, body, headers={"origin": origin})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (status, origin)
    # only what was asked without cookies is shown
    assert "access-control-allow-credentials" not in reply.headers
    assert reply.headers["vary"] == "Origin"
    assert edge_world.bus.messages == []


async def test_foreign_page_reads_nothing_but_final_refusals(edge_world: EdgeWorld) -> None:
    client, foreign = edge_world.client(), {"origin": "https://evil.example"}
    unknown = await client.post(
        LEAD, {"funnel": PUBLIC_KEY}, headers={**foreign, "authorization": "Bearer sk_wrong"}
    )
    wrong_method = await client.send("PUT", LEAD, headers=foreign)
    webhook = await client.post("/api/v1/webhooks/signed/nobody", [], headers=foreign)
    for reply, status in ((unknown, 401), (wrong_method, 405), (webhook, 401)):
        assert reply.status == status
        assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example\r\nset-cookie: a=b",
        "https://a.example/path",
        "chrome-extension://abc",
        "",
        "*",
    ],
)
async def test_what_is_no_origin_is_not_repeated(edge_world: EdgeWorld, origin: str) -> None:
    reply = await edge_world.client().post(LEAD, {"funnel": PUBLIC_KEY}, headers={"origin": origin})
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_pixel_is_an_event(edge_world: EdgeWorld) -> None:
    query = (
        f"?funnel={PUBLIC_KEY}&e=view_content&utm_source=mail&order_id=9&value=10.50&consent_ads=0"
    )
    reply = await edge_world.client().get(
        PIXEL + query, headers={"referer": f"{LANDING}/p?fbclid=IwAR1&email=a@b.co"}
    )
    assert (reply.status, reply.headers["content-type"], reply.headers["cache-control"]) == (
        200,
        "image/gif",
        "no-store",
    )
    assert reply.body.startswith(GIF_HEAD) and len(reply.body) < 50
    [event] = edge_world.bus.events
    assert (event.kind, event.order_id, event.value, event.consent_ads) == (
        "view_content",
        "9",
        "10.50",
        False,
    )
    assert event.utm.source == "mail"
    assert event.url == f"{LANDING}/p?fbclid=IwAR1"  # the page itself, without the person


async def test_pixel_counts_a_page_view_by_default(edge_world: EdgeWorld) -> None:
    await edge_world.client().get(
        f"/t/loja{PIXEL}?funnel={PUBLIC_KEY}", headers={"referer": LANDING}
    )
    assert edge_world.bus.events[0].kind == "pageview"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("?funnel=fk_nobody", 404),
        (f"?funnel={PUBLIC_KEY}&e=sale", 400),
        (f"?funnel={PUBLIC_KEY}&occurred_at=2020-01-01T00:00:00Z", 400),
    ],
)
async def test_pixel_stays_a_pixel_when_it_is_refused(
    edge_world: EdgeWorld, query: str, status: int
) -> None:
    reply = await edge_world.client().get(PIXEL + query, headers={"referer": LANDING})
    assert (reply.status, reply.body[:10], reply.headers["cache-control"]) == (
        status,
        GIF_HEAD,
        "no-store",
    )
    assert edge_world.bus.messages == []


async def test_looking_at_the_pixel_is_no_visit(edge_world: EdgeWorld) -> None:
    path = f"{PIXEL}?funnel={PUBLIC_KEY}"
    assert (
        await edge_world.client().send("HEAD", path, headers={"referer": LANDING})
    ).status == 200
    assert edge_world.bus.messages == []


async def test_pixel_from_elsewhere_is_403_and_broker_away_503(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    assert (
        await client.get(
            f"{PIXEL}?funnel={PUBLIC_KEY}", headers={"referer": "https://evil.example"}
        )
    ).status == 403
    edge_world.bus.error = BusUnavailable("away")
    away = await client.get(f"{PIXEL}?funnel={PUBLIC_KEY}", headers={"referer": LANDING})
    assert (away.status, away.body[:10]) == (503, GIF_HEAD)


async def test_readiness_tells_the_truth_about_the_broker(edge_world: EdgeWorld) -> None:
    edge = edge_world.edge()
    assert edge.health.standing().ready
    edge_world.bus.connected = False
    ready, told = edge.health.standing()
    assert (ready, told["ready"], told["broker"]) == (False, False, "away")
    assert (await Client(edge).get("/healthz")).status == 200


async def test_metrics_count_requests_and_unknown_fields_by_tenant(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    before = _metrics(generate_latest())
    body = {"funnel": "curso", "colour": "red", "user": {"shoe": 44}}
    await client.post(LEAD, body, headers={"authorization": f"Bearer {SERVER_KEY}"})
    after = _metrics(generate_latest())
    accepted = 'sinal_ingest_requests_total{source="server",status="202",tenant="loja"}'
    unknown = 'sinal_ingest_unknown_fields_total{tenant="loja"}'
    assert after[accepted] - before.get(accepted, 0) == 1
    assert after[unknown] - before.get(unknown, 0) == 2


def _metrics(text: bytes) -> dict[str, float]:
    lines = [
        line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#")
    ]
    return {name: float(value) for name, _, value in lines}
