"""Delivery: batches, answers, no connection, leaving the page.

Every event arrives and says which one it is.
"""

from __future__ import annotations

import json
import time

from tests.support.fix_browser import Browser, World

BUSY = (503, {"Retry-After": "1"}, b"")


def attempts(world: World, kind: str) -> list[float]:
    return [
        delivery.at
        for delivery in world.deliveries
        if any(event["type"] == kind for event in delivery.events)
    ]


def test_calls_that_belong_together_travel_together_as_plain_text(
    browser: Browser, world: World
) -> None:
    browser.open(world.page("loja.example/") + "?fbclid=IwAR1")
    world.got("pageview")
    browser.run(
        "sinal.track('view_content', {value: 97, currency: 'BRL', content_ids: [7]}); "
        "sinal.track('lead')"
    )
    world.got("lead")
    assert [[event["type"] for event in delivery.events] for delivery in world.deliveries] == [
        ["click", "pageview"],
        ["view_content", "lead"],
    ]
    assert world.deliveries[0].headers["content-type"].startswith("text/plain")
    assert world.deliveries[0].headers["origin"] == world.url("loja.example").rstrip("/")
    event = world.got("view_content")[0]
    assert (event["value"], event["currency"], event["items"]) == (97, "BRL", [{"id": 7}])


def test_a_busy_edge_is_asked_again_after_its_retry_after(browser: Browser, world: World) -> None:
    world.answers += [(429, {"Retry-After": "3"}, b"")]
    browser.open(world.page("loja.example/"))
    world.wait(lambda: len(attempts(world, "pageview")) == 2)
    first, second = attempts(world, "pageview")
    assert second - first >= 2.9
    assert len({event["event_id"] for event in world.events}) == 1, (
        "a repeat carries its event's own id"
    )


def test_a_refused_batch_loses_only_the_event_that_is_named(browser: Browser, world: World) -> None:
    problem = {
        "detail": "events[1].value: must be",
        "errors": [{"field": "events[1].value", "message": "must be"}],
    }
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    world.answers += [(400, {}, json.dumps(problem).encode())]
    browser.run(
        "sinal.track('view_content'); sinal.track('lead', {value: 'x'}); "
        "sinal.track('initiate_checkout')"
    )
    world.wait(lambda: len(world.deliveries) == 3)
    world.wait(lambda: json.loads(browser.storage["sinal_queue:fk_curso"]) == [])
    time.sleep(0.3)
    assert [event["type"] for event in world.deliveries[2].events] == [
        "view_content",
        "initiate_checkout",
    ]
    assert len(world.deliveries) == 3


def test_a_forbidden_event_is_given_up(browser: Browser, world: World) -> None:
    world.answers += [(403, {}, b"")]
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    world.wait(lambda: json.loads(browser.storage["sinal_queue:fk_curso"]) == [])


def test_events_of_an_offline_visitor_arrive_when_the_connection_is_back(
    browser: Browser, world: World
) -> None:
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.offline(True)
    browser.run("sinal.identify({email: 'ana@example.com'}); sinal.track('lead')")
    world.wait(lambda: "lead" in browser.storage["sinal_queue:fk_curso"])
    time.sleep(0.5)
    assert "lead" not in world.kinds()
    assert "ana@" not in json.dumps(browser.storage), "no clear personal data at rest"
    browser.offline(False)
    browser.run("dispatchEvent(new Event('online'))")
    assert world.got("lead")[0]["user"] == {"email": "ana@example.com"}


def test_what_one_page_could_not_send_the_next_one_does(browser: Browser, world: World) -> None:
    page = world.page("loja.example/")
    world.answers += [(503, {"Retry-After": "1"}, b"")] * 2
    browser.open(page)
    world.wait(lambda: world.deliveries)
    lost = world.events[0]["event_id"]
    world.answers.clear()
    browser.open(world.page("loja.example/dois"))
    world.wait(lambda: [event["event_id"] for event in world.events].count(lost) >= 2)
    repeat = [event for event in world.events if event["event_id"] == lost][-1]
    assert repeat["url"] == page, "as it happened, not as the page is now"


def test_an_old_event_tells_its_time_and_a_week_old_one_is_dropped(
    browser: Browser, world: World
) -> None:
    world.page("loja.example/dois")
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    hour, week = int(time.time() * 1000) - 3_600_000, int(time.time() * 1000) - 7 * 86_400_000
    entries = [
        {"event": {"type": "lead", "event_id": name}, "at": at, "next": 0, "tries": 3}
        for name, at in (("hour", hour), ("week", week))
    ]
    browser.run("localStorage['sinal_queue:fk_curso'] = arguments[0]", json.dumps(entries))
    browser.open(world.url("loja.example/dois"))
    lead = world.got("lead")[0]
    time.sleep(0.2)
    assert lead["event_id"] == "hour" and "week" not in {
        event["event_id"] for event in world.events
    }
    assert lead["occurred_at"] == hour and 3_600_000 <= lead["sent_at"] - hour < 3_700_000
    view = world.got("pageview")[0]
    assert 0 <= view["sent_at"] - view["occurred_at"] < 60_000, (
        "both by one clock: the edge reads the age"
    )


def test_leaving_at_once_loses_nothing(browser: Browser, world: World) -> None:
    away = world.url("outra.example/")
    browser.open(world.page("loja.example/"))
    world.got("pageview")
    browser.run(f"sinal.track('initiate_checkout'); location.href = '{away}'")
    world.got("initiate_checkout")


def test_a_leaving_page_takes_the_sites_cookies_along_and_back(
    browser: Browser, world: World
) -> None:
    away = world.url("outra.loja.example/")
    browser.open(world.page("loja.example/") + "?fbclid=IwAR1")
    world.got("pageview")
    kept = browser.cookies["_fbp"]["value"]
    longer = kept[:-1] + ("1" if kept[-1] != "1" else "2")
    world.answers += [
        (202, {"Set-Cookie": f"_fbp={longer}; Domain=loja.example; Path=/; Max-Age=99"}, b"{}")
    ]
    # said when the page is already leaving: no timer can send it before the beacon does
    browser.run(
        f"addEventListener('pagehide', () => sinal.track('lead'), true); location.href = '{away}'"
    )
    world.got("lead")
    [beacon] = [one for one in world.deliveries if "lead" in {e["type"] for e in one.events}]
    assert f"_fbp={kept}" in beacon.headers["cookie"]
    world.wait(lambda: browser.cookies["_fbp"]["value"] == longer)


def test_the_queue_is_bounded(browser: Browser, world: World) -> None:
    world.answers += [(503, {"Retry-After": "60"}, b"")] * 50
    browser.open(world.page("loja.example/"))
    world.wait(lambda: world.deliveries)
    browser.run(
        "for (let i = 0; i < 400; i++) sinal.track('lead', {order_id: 'n' + i + '-' + "
        "'x'.repeat(i % 100)})"
    )
    kept = json.loads(browser.storage["sinal_queue:fk_curso"])
    assert len(kept) <= 200 and len(browser.storage["sinal_queue:fk_curso"]) <= 64 * 1024
    assert kept[-1]["event"]["order_id"].startswith("n399-"), "the oldest go first"


def test_a_browser_without_storage_still_sends(browser: Browser, world: World) -> None:
    broken = (
        "<script>Object.defineProperty(window,'localStorage',{get(){throw new "
        "DOMException('no','SecurityError')}})"
    )
    broken += ";Object.defineProperty(document,'cookie',{get(){return ''},set(){}})</script>"
    browser.open(world.page("loja.example/", head=broken + world.tag) + "?fbclid=IwAR1")
    view = world.got("pageview")[0]
    assert view["click_id"] == world.got("click")[0]["click_id"]
    assert browser.faults() == []
