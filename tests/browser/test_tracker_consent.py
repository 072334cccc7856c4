"""Consent: what is stored, sent and put into links before an answer, after a yes and after a no."""

from __future__ import annotations

import time

import msgspec

from tests.support.fix_browser import Browser, World

AD = "?fbclid=IwAR1abc&utm_source=fb"
BUY = '<a id="buy" href="https://pay.hotmart.com/A?off=1">x</a>'
IDS = ("click_id", "session_id", "fbclid", "fbc", "fbp", "user", "external_id")


def strict(world: World) -> None:
    """No cookies before consent, and no ads by default."""
    world.config = msgspec.structs.replace(world.config, early=False, consent=False)


def link(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('#buy').href"))


def test_nothing_is_stored_before_consent_where_the_funnel_says_so(
    browser: Browser, world: World
) -> None:
    strict(world)
    pixel = "<script>document.cookie='_fbp=fb.1.1789000000000.7;path=/'</script>"
    browser.open(world.page("loja.example/", BUY, head=pixel + world.tag) + AD)
    view = world.got("pageview")[0]
    browser.run("sinal.track('view_content')")
    world.got("view_content")
    assert set(browser.cookies) == {"_fbp"} and browser.storage == {}
    assert view["consent_ads"] is None
    assert "fbp" not in view and "fbc" not in view, "cookies of others are not read either"
    assert all(delivery.headers.get("cookie") is None for delivery in world.deliveries)


def test_a_yes_keeps_the_visit_that_had_begun(browser: Browser, world: World) -> None:
    strict(world)
    browser.open(world.page("loja.example/", BUY) + AD)
    before = world.got("pageview")[0]
    browser.run("sinal.consent(true)")
    after = world.got("pageview", 2)[1]
    assert after["consent_ads"] is True
    assert (after["click_id"], after["session_id"]) == (before["click_id"], before["session_id"])
    assert after["fbc"].endswith(".IwAR1abc") and after["fbp"]
    assert {"_sinal", "_fbc", "_fbp"} <= set(browser.cookies)

    browser.open(world.page("loja.example/dois"))  # remembered, and no second announcement
    later = world.got("pageview", 3)[2]
    assert (later["consent_ads"], later["click_id"]) == (True, before["click_id"])
    browser.run("sinal.consent(true)")
    time.sleep(0.3)
    assert world.kinds().count("pageview") == 3


def test_a_no_deletes_and_says_so_for_this_visitor(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/", BUY) + AD)
    before = world.got("pageview")[0]
    assert before["click_id"] in link(browser)
    browser.run("sinal.identify({email: 'ana@example.com'}); sinal.consent(false)")
    said = world.got("pageview", 2)[1]
    assert (said["consent_ads"], said["click_id"]) == (False, before["click_id"])
    assert "user" not in said and "fbc" not in said
    assert browser.cookies == {}
    assert {name for name in browser.storage if "queue" not in name} == {"sinal_consent"}
    assert before["click_id"] not in link(browser) and "off=1" in link(browser)

    browser.run("sinal.track('lead')")
    lead = world.got("lead")[0]
    assert lead["consent_ads"] is False and not any(lead.get(name) for name in IDS)
    assert "fbclid" not in lead["url"]

    browser.open(world.page("loja.example/dois"))
    later = world.got("pageview", 3)[2]
    assert later["consent_ads"] is False and not any(later.get(name) for name in IDS)
    assert browser.cookies == {}
    assert all(delivery.headers.get("cookie") is None for delivery in world.deliveries[1:])


def test_an_answer_given_before_the_script_came_holds_for_its_first_event(
    browser: Browser, world: World
) -> None:
    stub = "<script>window.sinal=function(){(sinal.q=sinal.q||[]).push(arguments)};sinal('consent',true)</script>"
    strict(world)
    browser.open(world.page("loja.example/", head=stub + world.tag) + AD)
    assert world.got("pageview")[0]["consent_ads"] is True
    assert world.got("click")[0]["consent_ads"] is True


def test_without_an_answer_the_funnels_default_decides(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/") + AD)
    assert world.got("pageview")[0]["consent_ads"] is None
    assert "_fbc" in browser.cookies
