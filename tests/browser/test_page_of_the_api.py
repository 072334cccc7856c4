"""The API's page works in a browser under its own policy, and asks no other host for anything."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from sinal_api.app import Parts, build
from sinal_core.http.server import HttpServer
from sinal_crds.keyring import Keyring

from tests.support.fix_browser import Browser

NOTHING: Any = None  # the page asks for the document of the API, and that is made without services
HELD = "return document.querySelectorAll('.opblock').length"
WATCH = (
    "window.refused = []; document.addEventListener('securitypolicyviolation', e => "
    "refused.push(e.blockedURI))"
)
ASKED = "return performance.getEntriesByType('resource').map(e => e.name)"


@pytest.fixture
def api() -> Iterator[str]:
    """Base URL of a served API without services behind it."""
    loop = asyncio.new_event_loop()
    server = HttpServer(
        build(Parts(NOTHING, NOTHING, NOTHING, None, keyring=Keyring.generate())),
        host="127.0.0.1",
        port=0,
    )
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.url
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_operations_are_shown_and_nobody_else_is_asked(browser: Browser, api: str) -> None:
    browser.open(f"{api}/docs")
    deadline = time.monotonic() + 60
    while not browser.run(HELD):
        assert time.monotonic() < deadline, browser.run("return document.body.innerText")
        time.sleep(0.05)
    browser.run(WATCH)
    browser.click(".opblock-summary")
    browser.click(".btn.authorize, .opblock .try-out__btn")
    asked = browser.run(ASKED)
    assert {urlsplit(name).netloc for name in asked if not name.startswith("data:")} == {
        urlsplit(api).netloc
    }, asked
    assert any(name.endswith("/openapi.json") for name in asked)
    assert browser.run("return window.refused") == []
    assert "Sinal operations API" in browser.run("return document.body.innerText")
