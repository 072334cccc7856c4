"""A visit from an ad, in a real browser: cookies by Meta's rules, one click, page views, the same
visitor later.
"""

from __future__ import annotations

import re
import time

from tests.support.fix_browser import Browser, World

FBCLID = "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk_aem_Q0"
AD = f"?fbclid={FBCLID}&utm_source=fb&utm_medium=cpc&utm_campaign=Black%20Friday&utm_content=v1&utm_term=t"


def test_an_ad_visit_is_one_click_and_one_page_view(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/") + AD)
    click, view = world.got("click")[0], world.got("pageview")[0]

    assert world.kinds() == ["click", "pageview"]
    assert re.fullmatch(r"[A-Za-z0-9]{22}", click["click_id"])
    assert {click[name] for name in ("click_id",)} == {view["click_id"]}
    assert click["session_id"] == view["session_id"] and re.fullmatch(
        r"[A-Za-z0-9]{22}", view["session_id"]
    )
    assert click["fbclid"] == FBCLID
    assert view["utm"] == {
        "source": "fb", "medium": "cpc", "campaign": "Black Friday", "content": "v1", "term": "t",
    }  # fmt: skip
    assert view["url"] == world.url("loja.example/") + AD
    assert world.deliveries[0].funnel == "fk_curso"
    assert click["event_id"] != view["event_id"]
    assert browser.faults() == []


def test_cookies_have_metas_form_on_the_sites_own_domain(browser: Browser, world: World) -> None:
    before = int(time.time() * 1000) - 60_000
    browser.open(world.page("www.loja.com.br/") + AD)
    view = world.got("pageview")[0]
    cookies = browser.cookies

    # Meta, "fbp and fbc": com.br is a public suffix, so loja.com.br is as high as it goes: index 2.
    fbc = re.fullmatch(r"fb\.2\.(\d{13})\.(.+)", cookies["_fbc"]["value"])
    fbp = re.fullmatch(r"fb\.2\.(\d{13})\.(\d{1,10})", cookies["_fbp"]["value"])
    assert fbc and fbp and fbc[2] == FBCLID
    assert before < int(fbc[1]) < before + 120_000
    assert int(fbp[2]) < 2**31
    assert (view["fbc"], view["fbp"]) == (fbc[0], fbp[0])
    for name in ("_fbc", "_fbp"):
        assert cookies[name]["domain"] == ".loja.com.br"
        assert cookies[name]["sameSite"] == "Lax"
        assert abs(cookies[name]["expiry"] - time.time() - 90 * 86_400) < 120
    assert cookies["_sinal"]["expiry"] - time.time() > 7 * 86_400
    assert "_sinal_probe" not in cookies


def test_a_second_level_site_has_index_1(browser: Browser, world: World) -> None:
    browser.open(world.page("lp.loja.example/") + AD)
    assert world.got("pageview")[0]["fbc"].startswith("fb.1.")
    assert browser.cookies["_fbp"]["domain"] == ".loja.example"


def test_cookies_of_metas_own_pixel_are_kept_to_the_letter(browser: Browser, world: World) -> None:
    fbp, fbc = "fb.1.1789000000000.1098115397.Bg", f"fb.1.1789000000000.{FBCLID}.AQ"
    pixel = (
        f"<script>document.cookie='_fbp={fbp};path=/';document.cookie='_fbc={fbc};path=/'</script>"
    )
    browser.open(world.page("loja.example/", head=pixel + world.tag) + AD)
    view = world.got("pageview")[0]
    assert (view["fbp"], view["fbc"]) == (fbp, fbc)
    assert browser.cookies["_fbc"]["value"] == fbc and browser.cookies["_fbp"]["value"] == fbp


def test_another_fbclid_makes_a_new_click_and_a_new_fbc(browser: Browser, world: World) -> None:
    page = world.page("loja.example/")
    browser.open(page + AD)
    first = world.got("click")[0]
    browser.open(page + "?fbclid=IwZXh0bgNhZW0CMTEAAR0other")
    second = world.got("click", 2)[1]
    assert second["click_id"] != first["click_id"]
    assert second["session_id"] == first["session_id"]
    assert browser.cookies["_fbc"]["value"].endswith(".IwZXh0bgNhZW0CMTEAAR0other")
    assert browser.run("return sinal.visitor().utm.first.campaign") == "Black Friday"


def test_the_same_link_again_is_the_same_click(browser: Browser, world: World) -> None:
    page = world.page("loja.example/")
    browser.open(page + AD)
    first = world.got("click")[0]
    fbc = browser.cookies["_fbc"]["value"]
    browser.open(page + AD)
    views = world.got("pageview", 2)
    assert [view["click_id"] for view in views] == [first["click_id"]] * 2
    assert world.kinds().count("click") == 1
    assert browser.cookies["_fbc"]["value"] == fbc


def test_the_visitor_is_known_on_the_next_page_and_subdomain(
    browser: Browser, world: World
) -> None:
    world.page("curso.loja.example/oferta")
    browser.open(world.page("loja.example/") + AD)
    first = world.got("pageview")[0]
    browser.open(world.url("curso.loja.example/oferta"))
    later = world.got("pageview", 2)[1]
    for name in ("click_id", "session_id", "fbc", "fbp"):
        assert later[name] == first[name]


def test_the_click_survives_without_its_cookie(browser: Browser, world: World) -> None:
    page = world.page("loja.example/")
    browser.open(page + AD)
    first = world.got("click")[0]
    browser.run("document.cookie='_sinal=;path=/;domain=loja.example;max-age=0'")
    assert "_sinal" not in browser.cookies
    browser.open(page)
    later = world.got("pageview", 2)[1]
    assert later["click_id"] == first["click_id"]
    assert later["utm"]["campaign"] == "Black Friday"


def test_an_organic_visit_has_a_session_but_no_click_id(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/"))
    view = world.got("pageview")[0]
    assert not view["click_id"] and view["session_id"]
    assert "click" not in world.kinds() and "_fbc" not in browser.cookies


def test_half_an_hour_of_silence_begins_a_new_session(browser: Browser, world: World) -> None:
    page = world.page("loja.example/")
    browser.open(page + AD)
    first = world.got("pageview")[0]
    age = """
      const old = (text) => text.split(".").map((part, at) => at === 1 ? part - 31 * 60000 : part).join(".");
      const cookie = document.cookie.split("; ").find((pair) => pair.startsWith("_sinal=")).slice(7);
      document.cookie = `_sinal=${old(cookie)};path=/;domain=loja.example`;
      localStorage.sinal_visit = JSON.stringify(old(cookie));
    """
    browser.run(age)
    browser.open(page)
    later = world.got("pageview", 2)[1]
    assert later["session_id"] != first["session_id"]
    assert later["click_id"] == first["click_id"]


def test_a_page_on_another_landing_domain_gets_the_visit_with_the_link(
    browser: Browser, world: World
) -> None:
    target = world.page("irma.example/obrigado")
    browser.open(world.page("loja.example/", f'<a id="go" href="{target}?a=1">segue</a>') + AD)
    first = world.got("pageview")[0]
    browser.click("#go")
    later = world.got("pageview", 2)[1]
    assert "irma.example" in later["url"] and "_sl=" not in later["url"] and "a=1" in later["url"]
    assert (later["click_id"], later["session_id"]) == (first["click_id"], first["session_id"])
    assert later["fbc"].endswith(FBCLID)
    assert world.kinds().count("click") == 1


def test_a_link_that_was_shared_hands_nothing_over(browser: Browser, world: World) -> None:
    world.page("irma.example/")
    stale = f"{'a' * 22}.{int((time.time() - 600) * 1000)}.{'b' * 22}.{int(time.time() * 1000)}.x.y"
    browser.open(world.url("irma.example/") + "?_sl=" + stale)
    view = world.got("pageview")[0]
    assert view["session_id"] != "a" * 22 and not view["click_id"]


def test_single_page_navigation_counts_each_page_once(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/", '<a id="anchor" href="#comprar">x</a>') + AD)
    world.got("pageview")
    browser.run("history.pushState({}, '', '/passo-2')")
    browser.run("history.pushState({}, '', '/passo-2')")  # the same page again
    # only campaign parameters differ
    browser.run("history.replaceState({}, '', '/passo-2?utm_source=x')")
    browser.click("#anchor")  # an anchor of the page
    browser.run("location.hash = '#/passo-3'")  # a route in the hash
    browser.run("history.replaceState({}, '', '/passo-4')")
    views = world.got("pageview", 4)
    browser.back()
    views = world.got("pageview", 5)
    time.sleep(0.3)
    paths = [view["url"].split(":", 2)[2].partition("/")[2].partition("?")[0] for view in views]
    assert paths[:4] == ["", "passo-2", "passo-2", "passo-4"]
    assert views[1]["referrer"] == world.url("loja.example/") + AD
    assert len({view["session_id"] for view in views}) == 1
    assert browser.faults() == []
