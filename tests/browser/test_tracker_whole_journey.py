"""The whole way, only Meta is replaced: ad, landing page, checkout link, webhook, conversion with
its click.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer

from tests.support.fix_browser import Browser, World
from tests.support.load import HOTTOK, post_until_accepted
from tests.support.platform import Platform, running

MANIFESTS = Path(__file__).parent.parent / "support" / "manifests" / "shop.yaml"
FBCLID = "IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk"
BUY = """<a id="buy" href="https://pay.hotmart.com/X1?off=abc" target="_blank" data-sinal="initiate_checkout"
  data-sinal-value="297.00" data-sinal-currency="BRL">Comprar</a>"""


async def at_meta(session: aiohttp.ClientSession, platform: Platform, name: str) -> dict[str, Any]:
    """The first event of this name that Meta has, waited for."""
    deadline = time.monotonic() + 60
    params = {"pixel": "1111111111", "event_name": name}
    while time.monotonic() < deadline:
        async with session.get(f"{platform.sandbox_url}/_sandbox/events", params=params) as answer:
            if found := (await answer.json())["events"]:
                event: dict[str, Any] = found[0]["event"]
                return event
        await asyncio.sleep(0.1)
    pytest.fail(f"no {name} arrived at Meta")


async def test_a_purchase_finds_the_ad_click_of_its_browser(
    tmp_path: Path, browser: Browser, world: World
) -> None:
    async with (
        running(tmp_path / "platform", [MANIFESTS]) as platform,
        aiohttp.ClientSession() as session,
    ):
        key = platform.minted["loja"]["funnels"]["curso"]["public_key"]
        tag = f'<script async src="{platform.ingest}/t/loja/s.js?f={key}"></script>'
        page = world.page("loja.example/oferta", BUY, head=tag)
        browser.open(f"{page}?fbclid={FBCLID}&utm_source=fb&utm_campaign=c1")
        view = await at_meta(session, platform, "PageView")
        checkout = str(browser.run("return document.querySelector('#buy').href"))
        browser.click("#buy")
        begun = await at_meta(session, platform, "InitiateCheckout")
        browser.run(
            "sinal.track('view_content', {value: 'R$ 1.297,00', items: [{id: 'a', quantity: '2'}]})"
        )
        seen = (await at_meta(session, platform, "ViewContent"))["custom_data"]
        assert (float(seen["value"]), seen["currency"]) == (1297, "BRL"), (
            "as people write it: the edge reads it"
        )
        assert [item["quantity"] for item in seen["contents"]] == [2]

        xcod = parse_qs(urlsplit(checkout).query)["xcod"][0]
        buyer = Buyer("Ana Souza", "ana@example.com", "11987650001")
        sale = deliveries.hotmart("HP0000000042", buyer, token=HOTTOK, xcod=xcod)
        await post_until_accepted(
            session, platform.webhook("loja", "hotmart"), [("HP0000000042", sale)]
        )
        purchase = await at_meta(session, platform, "Purchase")

        cookies = browser.cookies
        agent = browser.run("return navigator.userAgent")
        for event in (view, begun, purchase):
            user = event["user_data"]
            assert user["fbc"] == cookies["_fbc"]["value"] and user["fbc"].endswith("." + FBCLID)
            assert user["fbp"] == cookies["_fbp"]["value"]
            assert user["client_user_agent"] == agent
        assert purchase["user_data"]["em"], "and the buyer's hashes from the gateway"
        custom = purchase["custom_data"]
        sold = {
            "order_id": "HP0000000042",
            "value": custom["value"],
            "currency": custom["currency"],
        }
        assert browser.run("return sinal.purchaseId(arguments[0])", sold) == purchase["event_id"]
        assert browser.faults() == []
