"""Visits, events and checkouts that were lost or wrong: each page here cost somebody a sale's
click.
"""

from __future__ import annotations

import json
import re
import time
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from sinal_crds.names import own_path
from sinal_hub.ingest.tracking.script import Rendered

from tests.support.fix_browser import KEY, TRACKER, Browser, World

PROGRAM = files("sinal_hub.ingest.tracking").joinpath("s.min.js").read_bytes()
AD = "?fbclid=IwAR1abc&utm_source=fb"
FBQ = "window.pixel=[];window.fbq=function(){pixel.push([].slice.call(arguments))}"
# Rules of public lists (EasyPrivacy) that first parties meet, too.
LISTED = (
    r"/api/v1/track/",
    r"/track/batch\?",
    r"://track\..*/collect",
    r"://track\..*/visitor/",
    r"/pixel|/beacon|/collect|/events?\b",
)


def query(url: str) -> dict[str, str]:
    return {
        name: values[0]
        for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()
    }


def test_events_go_to_no_address_that_a_block_list_names(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/") + AD)
    world.got("pageview")
    [path] = {delivery.path for delivery in world.deliveries}
    assert path == f"/{own_path('loja')}"
    assert not any(re.search(rule, world.url(TRACKER + path)) for rule in LISTED)


def test_a_script_that_the_site_serves_itself_knows_its_edge(
    browser: Browser, world: World
) -> None:
    edge = urlsplit(world.url(TRACKER)).netloc
    config = msgspec.structs.replace(world.config, base=f"//{edge}")
    world.pages["loja.example/cache/all.js"] = Rendered(PROGRAM, config).body.decode()
    copied = f'<script async src="{world.url("loja.example/cache/all.js")}"></script>'
    browser.open(world.page("loja.example/", head=copied) + AD)
    world.got("pageview")
    assert {delivery.headers["host"] for delivery in world.deliveries} == {edge}


def test_half_an_emoji_silences_nobody(browser: Browser, world: World) -> None:
    body = '<a id="buy" href="https://pay.hotmart.com/A">x</a>'
    browser.open(
        world.page("loja.example/", body) + f"?utm_campaign={'a' * 499}%F0%9F%98%80&fbclid=IwAR1abc"
    )
    click = world.got("click")[0]
    assert click["utm"]["campaign"] == "a" * 499
    browser.run(
        'localStorage.sinal_utm = \'{"last":{"campaign":"a\\\\ud83d"}}\'; sinal.track(\'lead\')'
    )
    assert world.got("lead")[0]["utm"]["campaign"] == "a", "one that an earlier script has kept"
    assert query(browser.run("return buy.href"))["xcod"] == click["click_id"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("{value: 19.9 * 3, currency: 'BRL'}", {"value": 59.699999999999996, "currency": "BRL"}),
        (
            "{value: 'R$ 1.297,00', items: [{id: 1, quantity: '2'}]}",
            {"value": "R$ 1.297,00", "items": [{"id": 1, "quantity": "2"}]},
        ),
        ("{content_ids: '123'}", {"items": [{"id": "123"}]}),
        (
            "{contents: [{id: 'a', quantity: 2, item_price: 9}]}",
            {"items": [{"id": "a", "quantity": 2, "price": 9}]},
        ),
        ("{value: NaN}", {"value": None}),
        ("{order_id: 10n}", {"order_id": "10"}),
    ],
)
def test_a_field_costs_no_event(
    browser: Browser, world: World, given: str, sent: dict[str, object]
) -> None:
    browser.open(world.page("loja.example/"))
    assert browser.run(f"return sinal.track('initiate_checkout', {given})")
    event = world.got("initiate_checkout")[0]
    assert {name: event.get(name) for name in sent} == sent


def test_the_pages_author_is_told_what_the_edge_left_out(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    world.answers += [(202, {}, b'{"events":[],"warnings":[{"field":"events[0].value"}]}')]
    browser.run(
        "window.said = []; console.warn = (text) => said.push(text); sinal.track('lead', "
        "{value: 'x'})"
    )
    world.wait(lambda: browser.run("return said.length"))
    assert "events[0].value" in browser.run("return said[0]")


@pytest.mark.parametrize(
    "given", ["{external_id: 10n}", "{external_id: (() => { const a = {}; a.a = a; return a })()}"]
)
def test_an_odd_person_stops_no_delivery(browser: Browser, world: World, given: str) -> None:
    browser.open(world.page("loja.example/"))
    browser.run(f"sinal.identify({given}); sinal.track('lead')")
    assert isinstance(world.got("lead")[0]["external_id"], str)
    assert browser.faults() == []


def test_the_ad_is_seen_though_the_page_cleaned_its_address_first(
    browser: Browser, world: World
) -> None:
    clean = "<script>history.replaceState(null, '', location.pathname)</script>"
    late = "<script>setTimeout(() => { const s = document.createElement('script');"
    late += f"s.src = '{world.url(TRACKER)}s.js?f={KEY}'; document.head.append(s) }}, 200)</script>"
    browser.open(world.page("loja.example/", head=clean + late) + AD)
    click = world.got("click")[0]
    assert (
        click["fbclid"] == "IwAR1abc"
        and click["fbc"].endswith(".IwAR1abc")
        and click["utm"] == {"source": "fb"}
    )
    assert "_fbc" in browser.cookies


def test_four_tabs_in_a_burst_lose_nothing(browser: Browser, world: World) -> None:
    page = world.page("loja.example/")
    tabs = []
    for at in range(4):
        tabs.append(browser.tab())
        browser.open(page)
        browser.run(
            "let n = 0; const timer = setInterval(() => { sinal.track('lead', {event_id: "
            "`${arguments[0]}-${n}`});"
            "if (++n === 25) clearInterval(timer) }, 40)",
            at,
        )
    world.got("lead", 100)
    world.wait(lambda: browser.storage.get("sinal_queue:fk_curso") == "[]")


def test_nothing_that_is_no_entry_ends_delivery(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.run("localStorage['sinal_queue:fk_curso'] = '[null]'")
    browser.open(world.url("loja.example/"))
    world.got("pageview", 2)


def test_naming_an_organic_visitor_is_nothing_that_meta_gets(
    browser: Browser, world: World
) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.run("sinal.identify({email: 'ana@example.com'})")
    assert world.got("identify")[0]["user"] == {"email": "ana@example.com"}
    assert world.kinds() == ["pageview", "identify"]


def test_nothing_of_a_person_waits_in_clear(browser: Browser, world: World) -> None:
    world.answers += [(503, {"Retry-After": "60"}, b"")] * 20
    person = "email=ana@example.com&phone=5511987650001&cpf=123.456.789-00&nome=Ana&utm_term=ana%40example.com"
    browser.open(world.page("loja.example/obrigado") + f"?{person}&utm_source=fb")
    world.wait(lambda: "sinal_queue:fk_curso" in browser.storage)
    browser.run(
        "sinal.track('lead', {order_id: 'ana@example.com'});"
        "history.pushState(null, '', '/u/ana@example.com/x#/f?nome=Ana')"
    )
    world.wait(lambda: browser.storage["sinal_queue:fk_curso"].count('"at"') == 3)
    kept = json.dumps(browser.storage)
    for word in ("ana@", "ana%40", "87650001", "123.456", "Ana"):
        assert word not in kept, word
    assert "utm_source=fb" in kept and json.loads(browser.storage["sinal_queue:fk_curso"])


def test_routes_and_campaign_words(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/") + "?src=a&sck=b&xcod=c#/oferta")
    world.got("pageview")
    browser.run("history.replaceState(null, '', '/#/oferta')")
    browser.run("location.hash = '#/checkout'")
    views = world.got("pageview", 2)
    time.sleep(0.2)
    assert [view["url"].partition("#")[2] for view in views] == ["/oferta", "/checkout"]
    assert world.kinds() == ["pageview", "pageview"]


def test_routers_on_the_navigation_api_are_seen(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.run(
        "navigation.addEventListener('navigate', (e) => e.intercept()); navigation.navigate('/a')"
    )
    assert world.got("pageview", 2)[1]["url"] == world.url("loja.example/a")
    browser.run("history.pushState(null, '', '/b')")
    assert world.got("pageview", 3)[2]["referrer"] == world.url("loja.example/a")


@pytest.mark.parametrize("way", ["attribute", "address"])
def test_a_pixel_that_comes_later_is_given_its_events(
    browser: Browser, world: World, way: str
) -> None:
    tag = (
        world.tag.replace("<script ", "<script data-pixel ")
        if way == "attribute"
        else world.tag.replace(f"f={KEY}", f"f={KEY}&pixel")
    )
    browser.open(
        world.page(
            "loja.example/", head=tag + (f"<script>setTimeout(() => {{ {FBQ} }}, 700)</script>")
        )
    )
    view = world.got("pageview")[0]
    world.wait(lambda: browser.run("return (window.pixel || []).length"))
    assert browser.run("return pixel[0]") == [
        "track",
        "PageView",
        {},
        {"eventID": view["event_id"]},
    ]


def test_a_page_out_of_the_back_forward_cache_counts(browser: Browser, world: World) -> None:
    world.page("loja.example/dois")
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.run("window.kept = 1; location.href = '/dois'")
    world.got("pageview", 2)
    browser.back()
    world.got("pageview", 3)


def test_a_get_form_with_empty_slot_fields(browser: Browser, world: World) -> None:
    action = world.url("pay.kiwify.com.br/X1")
    fields = "".join(
        f'<input type="hidden" name="{name}" value="">' for name in ("xcod", "sck", "src")
    )
    fields += '<input type="checkbox" name="bump" value="1"><input name="off" value="9" disabled>'
    fields += '<input name="a" value="1"><button id="b">x</button>'
    form = f'<form data-sinal-gateway="hotmart" action="{action}">{fields}</form>'
    browser.open(world.page("loja.example/", form) + AD)
    click = world.got("click")[0]["click_id"]
    browser.click("#b")
    world.wait(lambda: any("/X1" in visit for visit in world.visits))
    sent = query("http://" + next(visit for visit in world.visits if "/X1" in visit))
    assert (sent["xcod"], sent["sck"], sent["src"], sent["a"]) == (click, click, "", "1")
    assert not {"bump", "off"} & set(sent)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_buttons_own_action_wins(browser: Browser, world: World, method: str) -> None:
    checkout = world.url("pay.kiwify.com.br/K")
    button = f'<button id="b" formaction="{checkout}" formmethod="{method}">x</button>'
    browser.open(
        world.page(
            "loja.example/",
            f'<form action="/busca" method="post"><input name="a" value="1">{button}</form>',
        )
        + AD
    )
    click = world.got("click")[0]["click_id"]
    if method == "post":
        browser.run(
            "addEventListener('submit', (e) => { e.preventDefault(); window.sent = "
            "e.submitter.formAction })"
        )
    browser.click("#b")
    if method == "get":
        world.wait(lambda: any("/K" in visit for visit in world.visits))
        assert (
            query("http://" + next(visit for visit in world.visits if "/K" in visit))["sck"]
            == click
        )
    else:
        assert query(browser.run("return window.sent"))["sck"] == click


def test_a_get_form_that_a_program_sends(browser: Browser, world: World) -> None:
    form = (
        f'<form id="f" action="{world.url("pay.kiwify.com.br/P")}"><input name="a" '
        'value="1"></form>'
    )
    browser.open(world.page("loja.example/", form) + AD)
    click = world.got("click")[0]["click_id"]
    browser.run("f.submit()")
    world.wait(lambda: any("/P" in visit for visit in world.visits))
    sent = query("http://" + next(visit for visit in world.visits if "/P" in visit))
    assert (sent["sck"], sent["a"]) == (click, "1")


def test_links_that_are_no_a_of_html(browser: Browser, world: World) -> None:
    hot = "https://pay.hotmart.com/X1"
    body = f'<svg><a id="s" href="{hot}"><text>x</text></a><a id="x" xlink:href="{hot}"></a></svg>'
    body += f'<map name="m"><area id="a" href="{hot}"></map>'
    browser.open(world.page("loja.example/", body) + AD)
    click = world.got("click")[0]["click_id"]
    found = browser.run("return [s.getAttribute('href'), x.getAttribute('xlink:href'), a.href]")
    assert [query(url)["xcod"] for url in found] == [click] * 3


def test_a_second_funnels_tag_is_told(browser: Browser, world: World) -> None:
    watch = "<script>window.said = []; console.warn = (text) => said.push(text)</script>"
    late = (
        "<script>addEventListener('load', () => { sinal.key = 'fk_outra'; const s = "
        "document.createElement('script');"
    )
    late += f"s.src = '{world.url(TRACKER)}s.js?f={KEY}'; document.head.append(s) }})</script>"
    browser.open(world.page("loja.example/", head=watch + world.tag + late))
    world.wait(lambda: browser.run("return said.length"))
    assert KEY in browser.run("return said[0]")
