"""Programs that load pages are recorded, and neither matched nor sent.

People with odd browsers are people.
"""

from __future__ import annotations

import json

import pytest
from prometheus_client import generate_latest

from sinal_crds.plan import DEFAULT_EVENTS, FunnelPlan, TenantPlan
from sinal_hub.matching import decision as rules
from sinal_hub.model.crawlers import is_crawler
from sinal_hub.model.sale import Client, Sale, checked

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SERVER_KEY, EdgeWorld

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
CRAWLERS = [
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "facebookcatalog/1.0",
    "meta-externalagent/1.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "AdsBot-Google (+http://www.google.com/adsbot.html)",
    "Mediapartners-Google",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) Chrome/120 (compatible; "
    "Google-InspectionTool/1.0;)",
    f"{CHROME} HeadlessChrome/120.0.0.0 Safari/537.36",
    f"{CHROME} Chrome/120.0.0.0 Safari/537.36 Chrome-Lighthouse",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "WhatsApp/2.23.20.0 A",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
    "+https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; Bytespider; spider-feedback@bytedance.com)",
    "Mozilla/5.0 (unknown) AppleWebKit/534.34 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/534.34",
    "SomethingNew-Crawler/0.1",
]
PEOPLE = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605 Version/17.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) Mobile/15E148 "
    "[FBAN/FBIOS;FBAV/470.0.0.33.103;FBDV/iPhone15,2]",
    "Mozilla/5.0 (Linux; Android 14; SM-A546E; wv) Chrome/126.0 Mobile Safari/537.36 Instagram "
    "340.0.0.22.109 Android",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) Chrome/146.0 Mobile Safari/537.36 MetaIAB "
    "Facebook",
    "Mozilla/5.0 (Linux; Android 9; CUBOT P30) Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; CUBOT_X18) Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) GSA/300.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 12; SM-S908B) SamsungBrowser/24.0 Chrome/117.0 Mobile "
    "Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Linux; Android 13) musical_ly_2022803040 BytedanceWebview/d8a21c6 TikTok 28.3.4",
    "python-httpx/0.28",
]


@pytest.mark.parametrize("agent", CRAWLERS)
def test_a_program_that_says_so_is_a_crawler(agent: str) -> None:
    assert is_crawler(agent)


@pytest.mark.parametrize("agent", [*PEOPLE, None, ""])
def test_a_person_is_not_a_crawler(agent: str | None) -> None:
    assert not is_crawler(agent)


def counted() -> float:
    lines = generate_latest().decode().splitlines()
    name = 'sinal_ingest_crawlers_total{tenant="loja"} '
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)


async def test_every_tracking_door_marks_and_counts_crawlers(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    before = counted()
    page = {
        "origin": LANDING,
        "referer": f"{LANDING}/p",
        "user-agent": CRAWLERS[0],
        "content-type": "text/plain",
    }
    one = {"funnel": PUBLIC_KEY}
    replies = [
        await client.post("/api/v1/track/click", one, headers=page),
        await client.post(
            "/api/v1/track/batch", {"events": [one | {"type": "pageview"}]}, headers=page
        ),
        await client.get(f"/api/v1/track/p.gif?funnel={PUBLIC_KEY}", headers=page),
    ]
    told = one | {"client": {"ip": "177.10.21.40", "user_agent": CRAWLERS[3]}}
    server = {"authorization": f"Bearer {SERVER_KEY}", "content-type": "application/json"}
    replies.append(await client.post("/api/v1/track/lead", told, headers=server))
    assert [reply.status for reply in replies] == [202, 202, 200, 202], (
        "nobody is told that a page is watched"
    )
    assert [event.crawler for event in edge_world.bus.events] == [True] * 4
    assert counted() - before == 4
    await client.post("/api/v1/track/click", one, headers=page | {"user-agent": PEOPLE[4]})
    assert edge_world.bus.events[-1].crawler is False


async def test_what_a_crawler_does_is_withheld(edge_world: EdgeWorld) -> None:
    page = {"origin": LANDING, "user-agent": CRAWLERS[7], "content-type": "text/plain"}
    for kind in ("click", "pageview", "lead"):
        await edge_world.client().post(
            f"/api/v1/track/{kind}", {"funnel": PUBLIC_KEY}, headers=page
        )
    funnel = FunnelPlan(
        name="curso",
        type="x",
        public_key="fk",
        server_key_sha256="",
        destinations=("a",),
        events=dict(DEFAULT_EVENTS),
    )
    tenant = TenantPlan(slug="loja", namespace="n", name="loja", uid="u", funnels=(funnel,))
    assert [rules.visit_rules(tenant, funnel, event) for event in edge_world.bus.events] == [
        rules.withhold("crawler")
    ] * 3


def test_a_crawler_is_not_the_browser_of_a_buyer() -> None:
    sale = Sale(
        gateway="own",
        event="paid",
        event_key="own:1",
        status="approved",
        order_id="1",
        occurred_at="2026-11-30T09:13:20Z",
        client=Client(ip="66.249.66.1", user_agent=CRAWLERS[3]),
    )
    (found,) = checked([sale])
    assert json.loads(json.dumps([found.client.ip, found.client.user_agent])) == [None, None]
