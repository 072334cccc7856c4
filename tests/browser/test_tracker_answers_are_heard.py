"""A visitor's answer is heard: by every tab, out of the back/forward cache, in links, and whatever
word it comes in.
"""

from __future__ import annotations

import pytest

from tests.support.fix_browser import Browser, World

AD = "?fbclid=IwAR1abc&utm_source=fb"
LINK = "https://pay.hotmart.com/A?off=1"
BUY = f'<a id="buy" href="{LINK}">x</a>'
IDS = ("click_id", "session_id", "fbclid", "fbc", "fbp", "user", "external_id")
STUB = "<script>window.sinal=window.sinal||function(){(sinal.q=sinal.q||[]).push(arguments)};%s</script>"


def link(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('#buy').href"))


def test_a_no_is_heard_by_other_open_tabs(browser: Browser, world: World) -> None:
    world.page("loja.example/dois")
    browser.open(world.page("loja.example/", BUY) + AD)
    world.got("pageview")
    browser.run("sinal.identify({email: 'ana@example.com'})")
    world.got("click", 2)
    first = browser.tab()
    browser.open(world.url("loja.example/dois"))
    browser.run("sinal.consent(false)")
    browser.go(first)
    world.wait(lambda: link(browser) == LINK)
    browser.run("history.pushState(null, '', '/b'); sinal.track('lead')")
    lead = world.got("lead")[0]
    assert lead["consent_ads"] is False and not any(lead.get(name) for name in IDS)
    assert browser.cookies == {} and {name for name in browser.storage if "queue" not in name} == {
        "sinal_consent"
    }


def test_a_no_holds_for_what_still_waits(browser: Browser, world: World) -> None:
    world.answers += [(503, {"Retry-After": "1"}, b"")]
    browser.open(world.page("loja.example/") + AD)
    world.wait(lambda: world.deliveries)
    browser.run("sinal.consent(false)")
    world.wait(lambda: len(world.deliveries) >= 3)
    for event in (event for delivery in world.deliveries[1:] for event in delivery.events):
        assert (
            event["consent_ads"] is False and "fbclid" not in event and "fbclid" not in event["url"]
        )


@pytest.mark.parametrize(
    "word", ["'denied'", "'false'", "'no'", "'0'", "0", "null", "undefined", "{}", "'true'"]
)
def test_what_is_no_yes_is_a_no(browser: Browser, world: World, word: str) -> None:
    browser.open(world.page("loja.example/") + AD)
    world.got("pageview")
    browser.run(
        f"window.said = []; console.warn = (text) => said.push(text); sinal.consent({word})"
    )
    assert browser.storage["sinal_consent"] == "false" and browser.cookies == {}
    assert len(browser.run("return said")) == (word != "'denied'")


def test_granted_is_a_yes(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/"))
    browser.run("sinal.consent('granted')")
    assert browser.storage["sinal_consent"] == "true"


@pytest.mark.parametrize("cleaned", [False, True])
def test_a_yes_after_the_banners_default_no_keeps_the_ad(
    browser: Browser, world: World, cleaned: bool
) -> None:
    head = STUB % "sinal('consent', false)" + world.tag
    browser.open(world.page("loja.example/", BUY, head=head) + AD)
    world.got("pageview")
    if cleaned:
        browser.run("history.replaceState(null, '', '/')")
    browser.run("sinal.consent(true); sinal.track('lead')")
    lead, click = world.got("lead")[0], world.got("click")[0]
    assert lead["consent_ads"] is True and lead["click_id"] == click["click_id"]
    assert (
        lead["fbclid"] == "IwAR1abc"
        and lead["fbc"].endswith(".IwAR1abc")
        and lead["utm"] == {"source": "fb"}
    )
    assert lead["click_id"] in link(browser)


def test_of_two_answers_before_the_script_the_last_one_holds(
    browser: Browser, world: World
) -> None:
    calls = "sinal('consent', false);sinal('consent', true)"
    browser.open(world.page("loja.example/", head=STUB % calls + world.tag) + AD)
    world.got("pageview")
    browser.run("sinal.track('lead')")
    world.got("lead")
    assert world.kinds() == ["click", "pageview", "lead"] and {
        e["consent_ads"] for e in world.events
    } == {True}


def test_after_a_no_links_are_as_the_page_wrote_them(browser: Browser, world: World) -> None:
    own = "https://pay.kiwify.com.br/K?utm_source=email&fbclid=meu"
    browser.open(world.page("loja.example/", BUY + f'<a id="own" href="{own}">x</a>') + AD)
    world.got("pageview")
    assert "utm_source=fb" in link(browser) and "IwAR1abc" in link(browser)
    browser.run("const copy = buy.cloneNode(true); copy.id = 'copy'; document.body.append(copy)")
    browser.run("sinal.consent(false)")
    assert link(browser) == LINK and browser.run("return copy.href") == LINK
    assert browser.run("return own.href") == own, "what the page wrote stays"


def test_a_page_out_of_the_back_forward_cache_has_heard_the_no(
    browser: Browser, world: World
) -> None:
    world.page("loja.example/dois")
    browser.open(world.page("loja.example/", BUY) + AD)
    world.got("pageview")
    browser.run("location.href = '/dois'")
    world.got("pageview", 2)
    browser.run("sinal.consent(false)")
    browser.back()
    world.wait(lambda: link(browser) == LINK)
    browser.run("sinal.track('lead')")
    assert not any(world.got("lead")[0].get(name) for name in IDS)
