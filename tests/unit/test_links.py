"""Links that people and programs broke: what they say of the ad is read, what they say of a person
is not kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_hub import identity
from sinal_hub.intake import urls

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SERVER_KEY, EdgeWorld

CASES: list[dict[str, Any]] = json.loads(Path("tests/fixtures/links.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_broken_link_says_what_its_ad_wrote(case: dict[str, Any]) -> None:
    said = identity.ad_of(case["url"])
    assert (said.fbclid, said.utm) == (case["fbclid"], case["utm"])
    read = urls.read(case["url"])
    assert (read.fbclid, read.utm) == (case["fbclid"], case["utm"]), (
        "one rule, whichever way a link is gone through"
    )


PARTS = (
    "utm_source=fb utm_source= utm_medium=c%20d fbclid=IwAR0abcDEF fbclid=IwAR9 fbclid= a=1 x "
    "/p &amp; amp; ? # %26 %3D %20 + ="
)


@given(st.lists(st.sampled_from(PARTS.split()), max_size=8))
def test_both_ways_through_a_link_read_the_same(parts: list[str]) -> None:
    for glue in ("&", ""):
        url = "https://loja.example/?" + glue.join(parts)
        said, read = identity.ad_of(url), urls.read(url)
        assert (read.fbclid, read.utm) == (said.fbclid, said.utm)


@pytest.mark.parametrize(
    "url",
    [
        "https://loja.example/?utm_source=fb&amp;phone=11987654321&amp;nome=Maria",
        "https://loja.example/?utm_source=fb?nome=Maria?phone=11987654321",
        "https://loja.example/?utm_source=fb&amp%3Bnome=Maria",
        "https://loja.example/?utm_source=fb#nome=Maria&phone=11987654321",
    ],
)
def test_a_broken_link_is_kept_without_its_person(url: str) -> None:
    kept = urls.scrub(url)
    assert "Maria" not in kept and "11987654321" not in kept
    assert "utm_source=fb" in kept


async def test_every_tracking_door_reads_broken_links(edge_world: EdgeWorld) -> None:
    url = CASES[2]["url"].replace("loja.example", "curso.example")
    client = edge_world.client()
    page = {"origin": LANDING, "user-agent": "Mozilla/5.0", "content-type": "text/plain"}
    server = {"authorization": f"Bearer {SERVER_KEY}", "content-type": "application/json"}
    await client.post("/api/v1/track/pageview", {"funnel": PUBLIC_KEY, "url": url}, headers=page)
    await client.post("/api/v1/track/pageview", {"funnel": PUBLIC_KEY, "url": url}, headers=server)
    await client.get(f"/api/v1/track/p.gif?funnel={PUBLIC_KEY}", headers={"referer": url})
    assert len(edge_world.bus.events) == 3
    for event in edge_world.bus.events:
        assert (event.fbclid, event.utm.source, event.utm.medium) == (
            CASES[2]["fbclid"],
            "fb",
            "cpc",
        )
        assert event.click_id is not None and event.fbc is not None, (
            "a visit with an fbclid is a click"
        )
