"""The way to pay works whatever state the script is in: late, blocked, without cookies, beside
other people's.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.fix_browser import Browser, World

AD = "?fbclid=IwAR1abc&utm_source=fb"
HOT = "https://pay.hotmart.com/X1"
DOCS = (Path(__file__).parents[2] / "docs" / "users" / "tracker.md").read_text()
STUB = next(block for block in re.findall(r"```html\n(.*?)```", DOCS, re.S) if "sinal.q" in block)
PROTOTYPE = """<script>
  Array.prototype.toJSON = function () { return '[' + this.join() + ']' };
  String.prototype.toJSON = function () { return '"' + this + '"' };
  Array.prototype.reduce = function () { return this.length > 1 ? this : this[0] };
  Array.from = function (x) { return x };
  Object.prototype.extend = function (o) { return o };
</script>"""


def query(url: str) -> dict[str, str]:
    return {
        name: values[0]
        for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()
    }


def test_a_link_is_the_link_where_the_page_may_have_no_cookies(
    browser: Browser, world: World
) -> None:
    inner = world.page("loja.example/quadro")
    frame = f'<iframe sandbox="allow-scripts" src="{inner}" onload="window.there = 1"></iframe>'
    answers = "<script>onmessage = (e) => { window.told = e.data }</script>"
    world.page(
        "loja.example/quadro",
        "<script>addEventListener('load', () => "
        f"parent.postMessage(String(sinal.decorate('{HOT}')), '*'))</script>",
    )
    browser.open(world.page("loja.example/", answers + frame, head=""))
    world.wait(lambda: browser.run("return window.told"))
    assert str(browser.run("return window.told")).startswith(HOT)


@pytest.mark.parametrize(
    "broken",
    ["crypto.getRandomValues = null", "URL = null", "URLSearchParams = null", "Map = null"],
)
def test_decorate_gives_the_address_whatever_fails(
    browser: Browser, world: World, broken: str
) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.run(f"localStorage.clear(); {broken}; Storage.prototype.getItem = null")
    assert str(browser.run(f"return sinal.decorate('{HOT}')")).startswith(HOT)
    assert browser.run("return sinal.decorate('http://%zz')") == "http://%zz"


def test_the_documented_stub_lets_a_buyer_through_where_the_script_is_blocked(
    browser: Browser, world: World
) -> None:
    dead = '<script async src="http://nobody.example:9/s.js"></script>'
    browser.open(world.page("loja.example/", head=STUB + dead))
    assert browser.run(f"return sinal.decorate('{HOT}')") == HOT
    browser.run(
        "sinal.consent(false); sinal.track('lead'); sinal.identify({}); sinal.ready(() => 0); "
        "sinal.purchaseId({})"
    )
    assert browser.run("return sinal.visitor().click_id") is None
    assert browser.faults() == []


def test_what_the_stub_was_told_is_done_when_the_script_is_there(
    browser: Browser, world: World
) -> None:
    calls = "<script>sinal.consent('granted');sinal.identify({email:'ana@example.com'});"
    calls += "sinal.track('lead',{event_id:'a'})</script>"
    browser.open(world.page("loja.example/", head=STUB + calls + world.tag) + AD)
    lead = world.got("lead")[0]
    assert (lead["event_id"], lead["consent_ads"], lead["user"]) == (
        "a",
        True,
        {"email": "ana@example.com"},
    )


@pytest.mark.parametrize("order", ["before", "after", "without"])
def test_an_element_called_sinal_is_not_the_script(
    browser: Browser, world: World, order: str
) -> None:
    field = '<form id="sinal"><input id="sinal" name="q" value="10"></form>'
    body = field + ("" if order == "without" else STUB + "<script>sinal('track', 'lead')</script>")
    page = world.page(
        "loja.example/",
        body + ("" if order == "before" else world.tag),
        head=world.tag if order == "before" else "",
    )
    browser.open(page)
    if order == "without":
        browser.run("sinal.track('lead')")
    world.got("lead")
    assert "pageview" in world.kinds()


def test_a_frame_is_loaded_anew_for_nothing(browser: Browser, world: World) -> None:
    checkout = world.url("go.perfectpay.com.br/E")
    browser.open(
        world.page("loja.example/", f'<iframe id="f" data-sinal src="{checkout}"></iframe>')
    )
    session = world.got("pageview")[0]["session_id"]
    world.wait(lambda: query(browser.run("return f.src")).get("src") == session)
    browser.run("window.loads = 0; f.onload = () => loads++")
    browser.run(
        "history.pushState(null, '', '/b?fbclid=IwARother');"
        "document.body.insertAdjacentHTML('beforeend', '<a href=https://pay.hotmart.com/B>x</a>')"
    )
    world.got("click")
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', '<a id=late "
        "href=https://pay.hotmart.com/C>x</a>')"
    )
    world.wait(lambda: "xcod" in str(browser.run("return late.href")))
    assert browser.run("return [loads, f.src]") == [0, browser.run("return f.src")]
    assert query(browser.run("return f.src"))["src"] == session


def test_a_countdown_and_many_links_are_no_work_and_no_visitor(
    browser: Browser, world: World
) -> None:
    links = "".join(f'<a class="l" href="{HOT}?n={at}">x</a>' for at in range(30))
    count = (
        "<script>window.writes = 0; const set = Storage.prototype.setItem;"
        "Storage.prototype.setItem = function (...a) { writes++; return set.apply(this, a) };"
        "const cookie = Object.getOwnPropertyDescriptor(Document.prototype, 'cookie');"
        "Object.defineProperty(document, 'cookie', {get: () => cookie.get.call(document),"
        "set: (text) => { writes++; cookie.set.call(document, text) }})</script>"
    )
    browser.open(world.page("loja.example/", links + '<p id="t"></p>', head=count + world.tag) + AD)
    world.got("pageview")
    world.wait(
        lambda: "xcod" in str(browser.run("return document.querySelector('.l:last-of-type').href"))
    )
    world.wait(lambda: browser.storage.get("sinal_queue:fk_curso") == "[]")
    browser.run(
        "window.writes = 0; window.seen = localStorage.sinal_visit; let k = 0;"
        "window.timer = setInterval(() => { t.textContent = ++k }, 20)"
    )
    time.sleep(1)
    browser.run(
        "document.querySelectorAll('.l').forEach((one) => one.setAttribute('href', "
        "one.href + '&x=1'))"
    )
    time.sleep(0.5)
    assert browser.run("return [writes, seen === localStorage.sinal_visit]") == [0, True]


def test_other_peoples_prototypes_change_nothing(browser: Browser, world: World) -> None:
    browser.open(
        world.page("loja.example/", f'<a id="buy" href="{HOT}">x</a>', head=PROTOTYPE + world.tag)
        + AD
    )
    click = world.got("click")[0]
    browser.run("sinal.track('lead', {content_ids: ['a', 'b'], value: 1})")
    lead = world.got("lead")[0]
    assert lead["items"] == [{"id": "a"}, {"id": "b"}] and lead["utm"] == {"source": "fb"}
    found = query(browser.run("return buy.href"))
    assert (
        set(found) == {"xcod", "sck", "utm_source", "fbclid"} and found["xcod"] == click["click_id"]
    )
    assert browser.run("return [].toJSON()") == "[]", "and theirs is still there"
