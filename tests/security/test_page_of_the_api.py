"""Attack: whoever answers for a script's host reads the admin key that a person pastes into the
API's page.

Before: /docs loaded Swagger UI from a network of others, without integrity; it might be framed, and
answers that hold a key might be kept by caches.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from sinal_api.app import Parts, build

from tests.support.fix_operations import ApiRig

NOTHING: Any = None  # these routes ask nobody


async def get(path: str) -> httpx.Response:
    app = build(Parts(NOTHING, NOTHING, NOTHING, None))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api"
    ) as client:
        return await client.get(path)


async def test_the_page_names_no_other_host_and_holds_no_script() -> None:
    page = await get("/docs")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "//" not in page.text
    assert re.findall(r"<script(?! src=)|<style|\son\w+=|style=", page.text) == []
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 4
    for name in named:
        found = await get(f"/{name}")
        assert found.status_code == 200 and len(found.content) > 100, name
        assert found.headers["x-content-type-options"] == "nosniff"
    script = await get("/docs/page.js")
    assert "://" not in script.text and "validatorUrl: null" in script.text


async def test_a_browser_runs_nothing_else_beside_it_and_shows_it_in_no_frame() -> None:
    policy = dict(
        part.strip().split(" ", 1)
        for part in (await get("/docs")).headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert not {"script-src", "style-src", "connect-src"} & policy.keys(), (
        "only what default-src says"
    )
    assert policy["img-src"] == "'self' data:"


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/page.js", "/openapi.json", "/healthz", "/api/v1/keys", "/nowhere"]
)
async def test_every_answer_says_what_browsers_may_do_with_it(path: str) -> None:
    headers = (await get(path)).headers
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == (
        "nosniff",
        "no-referrer",
    )
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


async def test_nobody_keeps_an_answer_with_a_key(api_rig: ApiRig) -> None:
    made = await api_rig.call("POST", "/api/v1/keys", json={"role": "admin", "name": "k"})
    assert made.status_code == 201 and made.json()["key"]
    assert made.headers["cache-control"] == "no-store"
    listed = await api_rig.call("GET", "/api/v1/keys")
    assert listed.headers["cache-control"] == "private, no-cache" and listed.headers["etag"]
