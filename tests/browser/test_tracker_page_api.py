"""What a page can say: events, people, the pixel's pair, the purchase's id.

And what never happens to a page.
"""

from __future__ import annotations

import time

import pytest

from sinal_hub.model.events import meta_event_id

from tests.support.fix_browser import TRACKER, Browser, World

STUB = (
    "<script>window.sinal=window.sinal||function(){(sinal.q=sinal.q||[]).push(arguments)}</script>"
)
FBQ = "<script>window.pixel=[];window.fbq=function(){pixel.push([].slice.call(arguments))}</script>"


def tag(world: World, attributes: str = "") -> str:
    return world.tag.replace("<script ", f"<script {attributes} ")


def test_calls_made_before_the_script_came_are_kept(browser: Browser, world: World) -> None:
    calls = "<script>sinal('lead',{event_id:'meu-1'});sinal('ready',s=>{window.id=s.track('view_content')})</script>"
    browser.open(world.page("loja.example/", head=STUB + calls + world.tag))
    assert world.got("lead")[0]["event_id"] == "meu-1"
    assert world.got("view_content")[0]["event_id"] == browser.run("return window.id")
    assert world.kinds()[0] == "pageview"


def test_a_person_travels_with_the_next_event(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.run(
        "sinal.identify({email: 'Ana@Example.com', phone: '(11) 98765-0001', external_id: 42, "
        "senha: 'x'});"
        "sinal.track('lead')"
    )
    lead = world.got("lead")[0]
    assert lead["user"] == {"email": "Ana@Example.com", "phone": "(11) 98765-0001"}
    assert lead["external_id"] == "42"
    time.sleep(0.3)
    assert world.kinds() == ["pageview", "lead"], "the lead carried it, nothing else has to"


def test_a_person_who_does_nothing_more_is_told_all_the_same(
    browser: Browser, world: World
) -> None:
    browser.open(world.page("loja.example/") + "?fbclid=IwAR1")
    world.got("click")
    browser.run("sinal.identify({email: 'ana@example.com'})")
    assert world.got("click", 2)[1]["user"] == {"email": "ana@example.com"}
    assert world.kinds().count("pageview") == 1


def test_the_pixels_words_are_understood_and_others_are_explained(
    browser: Browser, world: World
) -> None:
    browser.open(world.page("loja.example/"))
    browser.run("window.said = []; console.warn = (text) => said.push(text)")
    assert (
        browser.run("return sinal.track('InitiateCheckout')")
        == world.got("initiate_checkout")[0]["event_id"]
    )
    assert browser.run("return sinal.track('Comprou')") is None
    assert "initiate_checkout" in browser.run("return said[0]")


def test_browser_and_server_events_share_their_id(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/", head=FBQ + tag(world, "data-pixel")) + "?fbclid=IwAR1")
    browser.run(
        "sinal.track('view_content', {value: '97.00', currency: 'BRL', content_ids: ['c1']})"
    )
    view, content = world.got("pageview")[0], world.got("view_content")[0]
    world.wait(lambda: len(browser.run("return pixel")) == 2)
    assert browser.run("return pixel") == [
        ["track", "PageView", {}, {"eventID": view["event_id"]}],
        [
            "track",
            "ViewContent",
            {"value": "97.00", "currency": "BRL", "content_ids": ["c1"], "content_type": "product"},
            {"eventID": content["event_id"]},
        ],
    ]


def test_the_pixel_is_left_alone_unless_asked(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/", head=FBQ + world.tag))
    world.got("pageview")
    browser.run("sinal.track('lead')")
    assert browser.run("return pixel") == []
    browser.run("sinal.track('lead', {}, {pixel: true})")
    world.wait(lambda: browser.run("return pixel.length"))
    assert browser.run("return pixel[0][3].eventID") == world.got("lead", 2)[1]["event_id"]
    browser.run("sinal.consent(false); sinal.track('lead', {}, {pixel: true})")
    assert browser.run("return pixel.length") == 1


def test_a_blocked_second_part_costs_no_event_and_no_buyer(browser: Browser, world: World) -> None:
    world.second_is_blocked = True
    link = '<a id="buy" href="https://pay.hotmart.com/A">x</a>'
    browser.open(
        world.page("loja.example/", link, head=FBQ + tag(world, "data-pixel")) + "?fbclid=IwAR1"
    )
    click = world.got("click")[0]["click_id"]
    browser.run("window.said = []; console.warn = (text) => said.push(text)")
    assert browser.run("return sinal.purchaseId({order_id: 'HP1'})") is None
    assert "part=2" in browser.run("return said[0]")
    browser.run("sinal.track('lead')")
    world.got("lead")
    assert click in browser.run("return sinal.decorate('https://pay.hotmart.com/B')")
    assert click in browser.run("return buy.href") and browser.faults() == []


@pytest.mark.parametrize(
    ("order", "value", "currency"),
    [
        ("HP16015479281022", "297.00", "BRL"),
        ("HP1", "297", "brl"),
        ("HP1", "1.005", "BRL"),
        ("HP1", "1.004999", "BRL"),
        ("HP1", "999.995", "BRL"),
        ("HP1", "0.5", "USD"),
        ("HP1", "007.1", "BRL"),
        ("pedido-ção|x", "1234567890.12", "EUR"),
        ("HP1", None, None),
    ],
)
def test_a_thank_you_page_knows_the_servers_purchase_id(
    browser: Browser, world: World, order: str, value: str | None, currency: str | None
) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    sale = (
        {"order_id": order}
        | ({"value": value} if value else {})
        | ({"currency": currency} if currency else {})
    )
    expected = meta_event_id("loja", order, "Purchase", value, currency)
    assert browser.run("return sinal.purchaseId(arguments[0])", sale) == expected


def test_a_number_gives_the_same_purchase_id_and_nonsense_none(
    browser: Browser, world: World
) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    expected = meta_event_id("loja", "HP1", "Purchase", "297.9", "BRL")
    assert (
        browser.run("return sinal.purchaseId({order_id: 'HP1', value: 297.9, currency: 'BRL'})")
        == expected
    )
    assert browser.run("return sinal.purchaseId({order_id: 'HP1', value: 'R$ 297,90'})") is None
    assert browser.run("return sinal.purchaseId({value: 1})") is None


def test_one_global_and_no_fault_whatever_the_page_does(browser: Browser, world: World) -> None:
    page = world.page(
        "loja.example/",
        '<a id="bad" href="http://%zz">x</a><form id="f"><input name="submit"></form>',
    )
    before = world.page("lp.loja.example/", head="")
    browser.open(before)
    names = set(browser.run("return Object.getOwnPropertyNames(window)"))
    browser.open(page)
    world.got("pageview")
    assert set(browser.run("return Object.getOwnPropertyNames(window)")) - names == {"sinal"}
    for call in (
        "track()", "track(null)", "track('lead', null)", "track('lead', {items: 3})", "identify()", "identify('x')",
        "consent()", "ready()", "ready(() => { throw Error('page') "
"})", "decorate('http://%zz')", "purchaseId()",
    ):  # fmt: skip
        browser.run(f"sinal.{call}")
    browser.run("history.pushState({}, '', '/x'); sinal(); sinal({}); sinal('toString')")
    assert browser.faults() == []
    browser.run("sinal.consent(true); sinal.track('lead')")
    world.got("lead")


def test_a_strict_content_security_policy_is_kept(browser: Browser, world: World) -> None:
    track = world.url(TRACKER).rstrip("/")
    policy = f"default-src 'none'; script-src {track}; connect-src {track}"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    world.pages["loja.example/"] = (
        f"<!doctype html><head>{meta}{world.tag}</head><body><a href='/x'>x</a></body>"
    )
    browser.open(world.url("loja.example/") + "?fbclid=IwAR1")
    assert world.got("pageview")[0]["click_id"]


def test_a_second_script_element_changes_nothing(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/", world.tag, head=world.tag + world.tag))
    world.got("pageview")
    time.sleep(0.4)
    assert world.kinds() == ["pageview"]


def test_page_views_can_be_left_to_the_page(browser: Browser, world: World) -> None:
    browser.open(
        world.page("loja.example/", head=tag(world, 'data-auto="false"')) + "?fbclid=IwAR1"
    )
    world.got("click")
    browser.run("history.pushState({}, '', '/dois'); sinal.track('pageview')")
    assert world.got("pageview")[0]["url"] == world.url("loja.example/dois")
    assert world.kinds() == ["click", "pageview"]
