"""What becomes of an accepted tracking event: its identity, its click, its person, its answer."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from tests.support.fix_ingest import LANDING, NOW, PUBLIC_KEY, SERVER_KEY, EdgeWorld

NOW_MS = int(NOW * 1000)
BROWSER = {
    "origin": LANDING,
    "user-agent": "Mozilla/5.0 (iPhone)",
    "content-type": "text/plain;charset=UTF-8",
}
SERVER = {"authorization": f"Bearer {SERVER_KEY}", "content-type": "application/json"}
URL = "https://curso.example/p?utm_source=fb&utm_campaign=Nov%20BR&fbclid=IwAR0_a-B"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("kind", ["click", "pageview", "view_content", "initiate_checkout", "lead"])
async def test_every_kind_has_an_endpoint_and_only_the_funnel_is_required(
    edge_world: EdgeWorld, kind: str
) -> None:
    reply = await edge_world.client().post(
        f"/api/v1/track/{kind}", {"funnel": PUBLIC_KEY}, headers=BROWSER
    )
    assert reply.status == 202
    [event] = edge_world.bus.events
    assert (event.kind, event.tenant, event.funnel, event.source) == (
        kind,
        "loja",
        "curso",
        "browser",
    )
    assert edge_world.bus.messages[0][0] == f"t.loja.in.{kind}"
    assert event.received_at == event.occurred_at == NOW_MS
    assert event.natural_key is False


async def test_answer_names_the_event_and_what_the_page_must_remember(
    edge_world: EdgeWorld,
) -> None:
    reply = await edge_world.client().post(
        "/api/v1/track/click", {"funnel": PUBLIC_KEY}, headers=BROWSER
    )
    [receipt] = reply.json()["events"]
    [event] = edge_world.bus.events
    assert receipt == {
        "id": event.id,
        "event_id": event.id,
        "click_id": event.click_id,
        "session_id": event.session_id,
        "duplicate": False,
    }
    assert event.click_id and event.click_id.isalnum() and len(event.click_id) <= 36


async def test_same_event_id_is_the_same_event_with_the_same_answer(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    body = {"funnel": PUBLIC_KEY, "event_id": "order-7"}
    first, second = [
        await client.post("/api/v1/track/lead", body, headers=BROWSER) for _ in range(2)
    ]
    assert len(edge_world.bus.messages) == 1
    [a], [b] = first.json()["events"], second.json()["events"]
    assert (a["duplicate"], b["duplicate"]) == (False, True)
    assert {**a, "duplicate": None} == {**b, "duplicate": None}
    assert a["event_id"] == "order-7"
    assert (
        edge_world.bus.events[0].key == "curso:lead:order-7"
        and edge_world.bus.events[0].natural_key
    )


async def test_same_event_id_on_another_kind_is_another_event(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    for kind in ("lead", "pageview"):
        await client.post(
            f"/api/v1/track/{kind}", {"funnel": PUBLIC_KEY, "event_id": "x"}, headers=BROWSER
        )
    assert len(edge_world.bus.messages) == 2


@pytest.mark.parametrize("event_id", ["pedido ção 1", "Nats-Rollup: all", "x" * 128])
async def test_key_of_any_event_id_fits_a_message_header(
    edge_world: EdgeWorld, event_id: str
) -> None:
    body = {"funnel": PUBLIC_KEY, "event_id": event_id}
    client = edge_world.client()
    for _ in range(2):
        assert (await client.post("/api/v1/track/lead", body, headers=BROWSER)).status == 202
    [event] = edge_world.bus.events
    assert (
        event.key.isascii()
        and event.key.isprintable()
        and " " not in event.key
        and len(event.key) <= 200
    )
    assert event.event_id == event_id


async def test_click_id_is_given_where_there_is_a_click(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    for body in ({}, {"url": URL}, {"url": URL, "click_id": "mine_1"}):
        await client.post("/api/v1/track/pageview", {"funnel": PUBLIC_KEY, **body}, headers=BROWSER)
    plain, clicked, own = edge_world.bus.events
    assert plain.click_id is None and clicked.click_id and own.click_id == "mine_1"


async def test_url_gives_fbclid_and_campaign_and_the_first_observed_fbc(
    edge_world: EdgeWorld,
) -> None:
    body = {"funnel": PUBLIC_KEY, "url": URL, "occurred_at": "2026-09-21T13:00:00Z"}
    await edge_world.client().post("/api/v1/track/click", body, headers=BROWSER)
    [event] = edge_world.bus.events
    assert event.fbclid == "IwAR0_a-B"
    assert event.fbc == "fb.1.1789995600000.IwAR0_a-B"  # the time of the visit, not of its arrival
    assert (event.utm.source, event.utm.campaign) == ("fb", "Nov BR")
    assert event.url == URL


async def test_given_campaign_fields_win_over_the_url(edge_world: EdgeWorld) -> None:
    body = {"funnel": PUBLIC_KEY, "url": URL, "utm": {"source": "ig", "medium": None}}
    await edge_world.client().post("/api/v1/track/click", body, headers=BROWSER)
    assert (edge_world.bus.events[0].utm.source, edge_world.bus.events[0].utm.campaign) == (
        "ig",
        "Nov BR",
    )


@pytest.mark.parametrize(
    ("cookie", "url", "expected"),
    [
        ("fb.1.1700000000000.IwAR0_a-B", None, "fb.1.1700000000000.IwAR0_a-B"),
        ("fb.1.1700000000000.IwAR0_a-B", URL, "fb.1.1700000000000.IwAR0_a-B"),
        ("fb.2.1700000000000.IwAR0_a-B.AQECAQIA", URL, "fb.2.1700000000000.IwAR0_a-B.AQECAQIA"),
        ("fb.1.1700000000000.older", URL, f"fb.1.{NOW_MS}.IwAR0_a-B"),
        ("nonsense", None, None),
        ("nonsense", URL, f"fb.1.{NOW_MS}.IwAR0_a-B"),
    ],
)
async def test_fbc_cookie_is_kept_to_the_letter_unless_the_url_has_another_click(
    edge_world: EdgeWorld, cookie: str, url: str | None, expected: str | None
) -> None:
    headers = {**BROWSER, "cookie": f"a=1; _fbc={cookie}; _fbp=fb.1.1700000000000.123456"}
    await edge_world.client().post(
        "/api/v1/track/pageview", {"funnel": PUBLIC_KEY, "url": url}, headers=headers
    )
    [event] = edge_world.bus.events
    assert (event.fbc, event.fbp) == (expected, "fb.1.1700000000000.123456")


async def test_fbc_of_the_body_wins_over_the_cookie(edge_world: EdgeWorld) -> None:
    headers = {**BROWSER, "cookie": "_fbc=fb.1.1700000000000.cookie"}
    body = {"funnel": PUBLIC_KEY, "fbc": "fb.1.1710000000000.body", "url": URL}
    await edge_world.client().post("/api/v1/track/pageview", body, headers=headers)
    assert edge_world.bus.events[0].fbc == "fb.1.1710000000000.body"


async def test_malformed_click_ids_cost_the_field_and_not_the_event(edge_world: EdgeWorld) -> None:
    body = {"funnel": PUBLIC_KEY, "fbc": "fb.1.x.y", "fbp": "fb", "fbclid": "<script>"}
    reply = await edge_world.client().post("/api/v1/track/lead", body, headers=BROWSER)
    assert reply.status == 202
    assert reply.json()["events"][0]["dropped"] == ["fbclid", "fbc", "fbp"]
    [event] = edge_world.bus.events
    assert (event.fbclid, event.fbc, event.fbp) == (None, None, None)


async def test_person_is_hashed_as_meta_wants_it(edge_world: EdgeWorld) -> None:
    user = {
        "email": " Maria@Loja.Example ",
        "phone": "(11) 99999-8888",
        "first_name": "Maria",
        "zip": "01310-100",
    }
    await edge_world.client().post(
        "/api/v1/track/lead", {"funnel": PUBLIC_KEY, "user": user}, headers=BROWSER
    )
    [event] = edge_world.bus.events
    assert event.user.em == [sha("maria@loja.example")]
    assert event.user.ph == [sha("5511999998888")]
    assert event.user.fn == [sha("maria")]
    assert event.user.zp == [sha("01310100")]


async def test_browser_is_its_own_client_and_a_server_speaks_for_one(edge_world: EdgeWorld) -> None:
    client = edge_world.client(peer="203.0.113.9")
    claimed = {"ip": "2001:0DB8::7", "user_agent": "Buyer/1.0"}
    body = {"funnel": PUBLIC_KEY, "client": claimed}
    await client.post("/api/v1/track/lead", body, headers=BROWSER)
    await client.post(
        "/api/v1/track/lead", {**body, "funnel": "curso"}, headers={**SERVER, "user-agent": "php"}
    )
    await client.post(
        "/api/v1/track/lead", {"funnel": "curso"}, headers={**SERVER, "user-agent": "php"}
    )
    browser, server, silent = edge_world.bus.events
    assert (browser.ip, browser.user_agent) == ("203.0.113.9", "Mozilla/5.0 (iPhone)")
    assert (server.ip, server.user_agent, server.source) == ("2001:db8::7", "Buyer/1.0", "server")
    assert (silent.ip, silent.user_agent) == (None, None)  # the shop's own address is nobody's


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "198.51.100.1", "203.0.113.9"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (2, "198.51.100.1", "203.0.113.9"),
        (1, "[2001:db8::5]:443", "2001:db8::5"),
        (1, "198.51.100.1:5555", "198.51.100.1"),
        (1, "::ffff:198.51.100.1", "198.51.100.1"),
        (1, "unknown", "203.0.113.9"),
    ],
)
async def test_forwarded_address_is_believed_as_far_as_our_proxies_reach(
    edge_world: EdgeWorld, proxies: int, forwarded: str, expected: str
) -> None:
    edge_world.settings = {"trusted_proxies": proxies}
    headers = {**BROWSER, "x-forwarded-for": forwarded}
    await edge_world.client().post("/api/v1/track/lead", {"funnel": PUBLIC_KEY}, headers=headers)
    assert edge_world.bus.events[0].ip == expected


async def test_money_and_items_keep_the_digits_that_were_sent(edge_world: EdgeWorld) -> None:
    raw = (
        b'{"funnel": "fk_curso", "value": 297.10, "currency": "brl", "order_id": 4711, "consent_ads": false,'
        b' "items": [{"id": 9, "quantity": 2, "price": "97.00"}, {"id": "b", "price": 3}]}'
    )
    assert (
        await edge_world.client().post("/api/v1/track/lead", raw, headers=BROWSER)
    ).status == 202
    [event] = edge_world.bus.events
    assert (event.value, event.currency, event.order_id, event.consent_ads) == (
        "297.10",
        "BRL",
        "4711",
        False,
    )
    assert [(item.id, item.quantity, item.price) for item in event.items] == [
        ("9", 2, "97.00"),
        ("b", 1, "3"),
    ]


async def test_clock_slightly_ahead_counts_as_now(edge_world: EdgeWorld) -> None:
    body = {"funnel": PUBLIC_KEY, "occurred_at": "2026-09-21T10:36:00-03:00"}  # 2:40 min ahead
    assert (
        await edge_world.client().post("/api/v1/track/lead", body, headers=BROWSER)
    ).status == 202
    assert edge_world.bus.events[0].occurred_at == NOW_MS


@pytest.mark.parametrize("compress", [False, True])
async def test_batch_accepts_all_kinds_in_order(edge_world: EdgeWorld, compress: bool) -> None:
    batch = {
        "funnel": "curso",
        "events": [{"type": "click", "event_id": str(n)} for n in range(499)],
    }
    batch["events"].append({"type": "lead", "funnel": PUBLIC_KEY, "event_id": "last"})  # type: ignore[attr-defined]
    raw = json.dumps(batch).encode()
    headers = {**SERVER, "content-encoding": "gzip"} if compress else SERVER
    reply = await edge_world.client().post(
        "/api/v1/track/batch", gzip.compress(raw) if compress else raw, headers=headers
    )
    assert reply.status == 202
    assert [receipt["event_id"] for receipt in reply.json()["events"]] == [
        *map(str, range(499)),
        "last",
    ]
    assert [event.kind for event in edge_world.bus.events] == ["click"] * 499 + ["lead"]


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("ingest.example", "/t/loja"),
        ("t.loja.example:443", ""),
        ("ingest.example", ""),
        ("T.Loja.Example.", ""),
    ],
)
async def test_tenant_is_named_by_host_by_path_or_by_its_key(
    edge_world: EdgeWorld, host: str, path: str
) -> None:
    client = edge_world.client(host=host)
    reply = await client.post(f"{path}/api/v1/track/lead", {"funnel": PUBLIC_KEY}, headers=BROWSER)
    assert reply.status == 202


@pytest.mark.parametrize(
    "origin", ["https://a.promo.example", "http://b.a.promo.example:8443", "https://CURSO.example"]
)
async def test_landing_hosts_take_wildcards_ports_and_any_case(
    edge_world: EdgeWorld, origin: str
) -> None:
    reply = await edge_world.client().post(
        "/api/v1/track/lead", {"funnel": PUBLIC_KEY}, headers={**BROWSER, "origin": origin}
    )
    assert reply.status == 202


async def test_referer_stands_in_for_a_missing_origin(edge_world: EdgeWorld) -> None:
    headers = {"referer": "https://curso.example/obrigado?x=1"}
    assert (
        await edge_world.client().post(
            "/api/v1/track/lead", {"funnel": PUBLIC_KEY}, headers=headers
        )
    ).status == 202


@pytest.mark.parametrize("ahead_ms", [1, 1_000, 5 * 60_000, 3_600_000, 10 * 365 * 86_400_000])
async def test_an_fbc_from_the_future_is_made_anew(edge_world: EdgeWorld, ahead_ms: int) -> None:
    """A visitor's clock is fast: Meta takes no such fbc, and the sale has the click's."""
    body = {"funnel": PUBLIC_KEY, "fbc": f"fb.2.{NOW_MS + ahead_ms}.IwAR0_a-B.AQ"}
    await edge_world.client().post("/api/v1/track/pageview", body, headers=BROWSER)
    cookie = {**BROWSER, "cookie": f"_fbc={body['fbc']}"}
    await edge_world.client().post("/api/v1/track/pageview", {"funnel": PUBLIC_KEY}, headers=cookie)
    assert {event.fbc for event in edge_world.bus.events} == {f"fb.2.{NOW_MS}.IwAR0_a-B.AQ"}


async def test_an_age_is_read_whatever_the_clock_that_told_it(edge_world: EdgeWorld) -> None:
    for sent in ("2040-01-01T00:10:00Z", "2001-01-01T00:10:00Z"):
        told = {"occurred_at": sent.replace("00:10:00", "00:00:00"), "sent_at": sent}
        reply = await edge_world.client().post(
            "/api/v1/track/lead", {"funnel": PUBLIC_KEY, **told}, headers=BROWSER
        )
        assert reply.status == 202
    assert [NOW_MS - event.occurred_at for event in edge_world.bus.events] == [600_000, 600_000]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (
            "https://loja.example/#/oferta?fbclid=IwAR1&email=ana@example.com",
            "https://loja.example/#/oferta?fbclid=IwAR1",
        ),
        ("https://loja.example/?a=1#!checkout", "https://loja.example/?a=1#!checkout"),
        ("https://loja.example/#/obrigado/ana@example.com/x", "https://loja.example/#/obrigado/x"),
        ("https://loja.example/#comprar", "https://loja.example/"),
    ],
)
async def test_routes_behind_a_hash_are_pages_of_their_own(
    edge_world: EdgeWorld, url: str, kept: str
) -> None:
    await edge_world.client().post(
        "/api/v1/track/pageview", {"funnel": PUBLIC_KEY, "url": url}, headers=BROWSER
    )
    assert edge_world.bus.events[0].url == kept


async def test_naming_a_person_makes_no_click_of_an_organic_visitor(edge_world: EdgeWorld) -> None:
    body = {"funnel": PUBLIC_KEY, "user": {"email": "ana@example.com"}, "session_id": "s1"}
    await edge_world.client().post("/api/v1/track/identify", body, headers=BROWSER)
    [event] = edge_world.bus.events
    assert (event.kind, event.click_id, event.session_id) == (
        "identify",
        None,
        "s1",
    ) and event.user.em


@pytest.mark.parametrize(
    ("written", "value", "currency"),
    [
        (297.1, "297.1", None),
        ("1.297,00", "1297.00", None),
        ("1,297.00", "1297.00", None),
        ("97,90", "97.90", None),
        ("R$ 1.297,00", "1297.00", "BRL"),
        ("R$\u00a01.297,00", "1297.00", "BRL"),
        ("BRL 97", "97.00", "BRL"),
        ("US$ 10", "10.00", "USD"),
        ("0.500", "0.500", None),
        ("1.169", "1.169", None),
        (59.699999999999996, "59.7", None),
        ("59.699999999999996", "59.7", None),
        ("0.30000000000000004", "0.3", None),
        ("100", "100", None),
        ("undefined", None, None),
        ("NaN", None, None),
        ("", None, None),
    ],
)
async def test_amounts_are_read_however_they_are_written(
    edge_world: EdgeWorld, written: object, value: str | None, currency: str | None
) -> None:
    body = {"funnel": PUBLIC_KEY, "value": written, "items": [{"id": "a", "price": written}]}
    reply = await edge_world.client().post("/api/v1/track/lead", body, headers=BROWSER)
    assert "warnings" not in reply.json()
    [event] = edge_world.bus.events
    assert (event.value, event.currency, event.items[0].price) == (value, currency, value)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("brl", "BRL"),
        (" BRL ", "BRL"),
        ("R$", "BRL"),
        ("reais", "BRL"),
        ("US$", "USD"),
        ("\u20ac", "EUR"),
        ("null", None),
    ],
)
async def test_currencies_are_read_however_they_are_written(
    edge_world: EdgeWorld, written: str, code: str | None
) -> None:
    body = {"funnel": PUBLIC_KEY, "value": "R$ 5,00" if code == "BRL" else 5, "currency": written}
    reply = await edge_world.client().post("/api/v1/track/lead", body, headers=BROWSER)
    assert "warnings" not in reply.json()
    assert edge_world.bus.events[0].currency == code


async def test_numbers_may_be_text_and_text_may_be_numbers(edge_world: EdgeWorld) -> None:
    body = {
        "funnel": PUBLIC_KEY,
        "event_id": 123456,
        "session_id": "s1",
        "items": [
            {"id": "1", "quantity": "2", "price": "19.90"},
            {"id": 7, "quantity": 3.0},
            {"id": "8", "quantity": ""},
        ],
        "utm": {"content": 120214000000000001},
        "consent_ads": "true",
    }
    reply = await edge_world.client().post("/api/v1/track/lead", body, headers=BROWSER)
    assert reply.json()["events"][0]["event_id"] == "123456" and "warnings" not in reply.json()
    [event] = edge_world.bus.events
    assert [(item.id, item.quantity) for item in event.items] == [("1", 2), ("7", 3), ("8", 1)]
    assert (event.utm.content, event.consent_ads) == ("120214000000000001", True)


@pytest.mark.parametrize("word", ["denied", "false", "no", "Não", 0, "0", "rejected"])
async def test_a_no_is_heard_in_any_word(edge_world: EdgeWorld, word: object) -> None:
    await edge_world.client().post(
        "/api/v1/track/lead", {"funnel": PUBLIC_KEY, "consent_ads": word}, headers=BROWSER
    )
    assert edge_world.bus.events[0].consent_ads is False


@pytest.mark.parametrize(
    "at", [NOW_MS - 60_000, (NOW_MS - 60_000) // 1000, str((NOW_MS - 60_000) // 1000)]
)
async def test_a_time_may_be_told_in_unix_seconds_and_milliseconds(
    edge_world: EdgeWorld, at: object
) -> None:
    await edge_world.client().post(
        "/api/v1/track/lead", {"funnel": "curso", "occurred_at": at}, headers=SERVER
    )
    assert abs(edge_world.bus.events[0].occurred_at - (NOW_MS - 60_000)) < 1_000


async def test_a_long_url_still_says_which_ad_it_came_from(edge_world: EdgeWorld) -> None:
    url = "https://curso.example/p?q=" + "x" * 5_000 + "&utm_source=fb&fbclid=IwAR0abcDEF_ghi-123"
    reply = await edge_world.client().post(
        "/api/v1/track/pageview", {"funnel": PUBLIC_KEY, "url": url}, headers=BROWSER
    )
    [event] = edge_world.bus.events
    assert (event.url, event.utm.source, event.fbclid) == (
        "https://curso.example/p",
        "fb",
        "IwAR0abcDEF_ghi-123",
    )
    assert [warning["field"] for warning in reply.json()["warnings"]] == ["url"]
