"""Links to checkouts carry the visitor's id in the slot that the gateway's webhook gives back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.fix_browser import Browser, World

AD = "?fbclid=IwAR1abc&utm_source=fb&utm_campaign=c1"


def query(url: str) -> dict[str, str]:
    return {
        name: values[0]
        for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()
    }


def href(browser: Browser, selector: str = "#buy") -> str:
    return str(browser.run("return document.querySelector(arguments[0]).href", selector))


# Where each gateway takes a word that comes back: the tracking slots of its webhook.
SLOTS = {
    "https://pay.hotmart.com/X1?off=abc": ["xcod", "sck"],
    "https://pay.kiwify.com.br/AbC": ["sck"],
    "https://checkout.perfectpay.com.br/pay/PPU1": ["src"],
    "https://go.perfectpay.com.br/PPU1": ["src"],
    "https://buy.stripe.com/test_1": ["client_reference_id"],
    "https://ev.braip.com/ref?pv=p1": ["src"],
    "https://pay.braip.com/x": ["src"],
    "https://pay.appmax.com.br/x": ["click_id"],
    "https://pay.kirvano.com/x": ["src"],
    "https://checkout.ticto.app/x": ["src"],
    "https://pay.cakto.com.br/x": ["src"],
    "https://lastlink.com/p/x": ["utm_id"],
}


def test_every_gateway_gets_its_slot_and_the_campaign(browser: Browser, world: World) -> None:
    links = "".join(f'<a id="l{at}" href="{url}">x</a>' for at, url in enumerate(SLOTS))
    browser.open(
        world.page("loja.example/", links + ('<a id="other" href="https://exemplo.org/?a=1">x</a>'))
        + AD
    )
    click = world.got("click")[0]["click_id"]
    for at, (url, slots) in enumerate(SLOTS.items()):
        given = query(href(browser, f"#l{at}"))
        assert {name for name, value in given.items() if value == click} == set(slots), url
        assert (given["utm_source"], given["utm_campaign"], given["fbclid"]) == (
            "fb",
            "c1",
            "IwAR1abc",
        )
        assert query(url).items() <= given.items()
    assert href(browser, "#other") == "https://exemplo.org/?a=1"
    assert browser.faults() == []


@pytest.mark.parametrize(
    ("link", "slot"),
    [
        ("https://pay.kiwify.com.br/A?sck=meu%7Cbundle", "s1"),
        ("https://pay.kiwify.com.br/A?sck=meu%7Cbundle&s1=x", "s2"),
        ("https://pay.hotmart.com/A?xcod=meu%7Cbundle", "sck"),
        ("https://pay.hotmart.com/A?sck=meu%7Cbundle&src=face", "xcod"),
        ("https://go.perfectpay.com.br/A?src=meu%7Cbundle", "sck"),
        ("https://pay.braip.com/A?src=meu%7Cbundle", "sck"),
    ],
)
def test_what_the_page_has_written_stays(
    browser: Browser, world: World, link: str, slot: str
) -> None:
    browser.open(world.page("loja.example/", f'<a id="buy" href="{link}">x</a>') + AD)
    click = world.got("click")[0]["click_id"]
    found = href(browser)
    assert found.startswith(link), "the page's own query is kept to the byte"
    assert query(found)[slot] == click


def test_a_link_with_a_campaign_of_its_own_keeps_it_whole(browser: Browser, world: World) -> None:
    link = "https://pay.kiwify.com.br/A?utm_source=email"
    browser.open(world.page("loja.example/", f'<a id="buy" href="{link}">x</a>') + AD)
    world.got("click")
    assert {name for name in query(href(browser)) if name.startswith("utm_")} == {"utm_source"}
    assert query(href(browser))["utm_source"] == "email"


def test_a_stripe_reference_of_the_page_is_not_touched(browser: Browser, world: World) -> None:
    link = "https://buy.stripe.com/x?client_reference_id=pedido-7"
    browser.open(world.page("loja.example/", f'<a id="buy" href="{link}">x</a>') + AD)
    world.got("click")
    assert query(href(browser))["client_reference_id"] == "pedido-7"


def test_an_organic_visitor_is_found_again_by_the_session(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/", '<a id="buy" href="https://pay.hotmart.com/A">x</a>'))
    assert query(href(browser))["xcod"] == world.got("pageview")[0]["session_id"]


def test_links_that_come_late_and_change_late_are_seen(browser: Browser, world: World) -> None:
    browser.open(world.page("loja.example/", '<a id="buy" href="/">x</a>') + AD)
    click = world.got("click")[0]["click_id"]
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', '<a id=late "
        "href=https://pay.hotmart.com/B>x</a>')"
    )
    browser.run("document.querySelector('#buy').href = 'https://pay.kiwify.com.br/C'")
    world.wait(lambda: query(href(browser, "#late")).get("xcod") == click)
    world.wait(lambda: query(href(browser)).get("sck") == click)


def test_a_link_written_in_the_moment_of_its_click(browser: Browser, world: World) -> None:
    checkout = world.url("go.perfectpay.com.br/P")
    body = f'<a id="buy" href="#" onmousedown="this.href=\'{checkout}?off=1\'">x</a>'
    browser.open(world.page("loja.example/", body) + AD)
    click = world.got("click")[0]["click_id"]
    browser.click("#buy")
    world.wait(lambda: any("perfectpay" in visit for visit in world.visits))
    assert query(browser.url)["src"] == click and query(browser.url)["off"] == "1"


@pytest.mark.parametrize("way", ["blank", "open", "shadow", "decorate"])
def test_ways_to_open_a_checkout(browser: Browser, world: World, way: str) -> None:
    checkout = world.url("pay.kiwify.com.br/K")
    body = {
        "blank": f'<a id="go" target="_blank" href="{checkout}">x</a>',
        "open": f"<button id=\"go\" onclick=\"window.open('{checkout}', '_blank')\">x</button>",
        "shadow": "<div id=go style='width:50px;height:20px'></div><script>go.attachShadow({mode:'open'}).innerHTML="
        f"'<a style=display:block;height:20px href={checkout}>x</a>'</script>",
        "decorate": '<button id="go" onclick="location.href = '
        f"sinal.decorate('{checkout}')\">x</button>",
    }[way]
    browser.open(world.page("loja.example/", body) + AD)
    click = world.got("click")[0]["click_id"]
    browser.click("#go")
    world.wait(lambda: any("/K" in visit for visit in world.visits))
    visit = next(visit for visit in world.visits if "/K" in visit)
    assert query("http://" + visit)["sck"] == click


def test_a_get_form_and_a_post_form(browser: Browser, world: World) -> None:
    get, post = world.url("pay.kiwify.com.br/G"), world.url("pay.kiwify.com.br/F")
    body = (
        f'<form id="one" action="{get}?lost=1"><input name="off" value="9"><input name="action" '
        'value="v">'
        f'<input type="hidden" name="sck" value="meu"><button id="b1">x</button></form>'
        f'<form id="two" method="post" action="{post}" target="_blank"><button '
        'id="b2">x</button></form>'
    )
    browser.open(world.page("promo.loja.example/", body) + AD)
    click = world.got("click")[0]["click_id"]
    browser.run(
        "document.querySelector('#two').addEventListener('submit', (e) => { e.preventDefault(); "
        "window.sent = e.target.getAttribute('action'); })"
    )
    browser.click("#b2")
    assert query(browser.run("return window.sent"))["sck"] == click
    browser.click("#b1")
    world.wait(lambda: any("/G" in visit for visit in world.visits))
    sent = query("http://" + next(visit for visit in world.visits if "/G" in visit))
    assert (sent["s1"], sent["sck"], sent["off"], sent["action"]) == (click, "meu", "9", "v")


def test_a_marked_frame_and_a_checkout_on_a_domain_of_its_own(
    browser: Browser, world: World
) -> None:
    body = (
        f'<iframe id="f1" data-sinal src="{world.url("pay.hotmart.com/E")}"></iframe>'
        f'<iframe id="f2" src="{world.url("pay.hotmart.com/E2")}"></iframe>'
        '<a id="own" data-sinal-gateway="stripe" href="https://pague.loja.example/b/1">x</a>'
        '<div data-sinal-skip><a id="skip" href="https://pay.hotmart.com/S">x</a></div>'
    )
    browser.open(world.page("loja.example/", body) + AD)
    click = world.got("click")[0]["click_id"]
    world.wait(
        lambda: query(browser.run("return document.querySelector('#f1').src")).get("xcod") == click
    )
    assert query(browser.run("return document.querySelector('#f2').src")) == {}
    world.wait(lambda: query(href(browser, "#own")).get("client_reference_id") == click)
    assert query(href(browser, "#skip")) == {}


def test_marks_tell_of_the_checkout_before_the_page_is_left(browser: Browser, world: World) -> None:
    checkout = world.url("go.perfectpay.com.br/M")
    body = (
        f'<a id="buy" href="{checkout}" data-sinal="initiate_checkout" data-sinal-value="297.00" '
        'data-sinal-currency="BRL" data-sinal-items="curso-1, bump-2">x</a>'
    )
    browser.open(world.page("loja.example/", body) + AD)
    world.got("pageview")
    browser.click("#buy")
    event = world.got("initiate_checkout")[0]
    assert (event["value"], event["currency"]) == ("297.00", "BRL")
    assert [item["id"] for item in event["items"]] == ["curso-1", "bump-2"]
    assert event["click_id"] == query(browser.url)["src"]
