"""The web site of the documents in a browser: nothing from elsewhere, room on a phone, a search
that finds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.fix_browser import Browser, BrowserStarter

ROOT = Path(__file__).parents[2]
PAGES = (
    "",
    "developers/architecture/",
    "users/gateways/",
    "operators/manifests/",
    "runbooks/SinalBreakerOpen.md/",
)
LOADED = "return performance.getEntriesByType('resource').map(entry => entry.name)"
SEARCH = """const field = document.querySelector('input.md-search__input')
field.focus()
field.value = arguments[0]
for (const kind of ['input', 'keyup']) field.dispatchEvent(new Event(kind, {bubbles: true}))"""
FOUND = "return [...document.querySelectorAll('a.md-search-result__link')].map(found => found.href)"


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of the site, as `make site` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder),
    ]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "true"}, check=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("width", [375, 1280])
def test_pages_fit_their_window_and_load_nothing_from_elsewhere(
    open_browser: BrowserStarter, site: str, width: int
) -> None:
    # A headless window is never narrower than 500 pixels; a frame is as narrow as it is told to be.
    browser = open_browser("--window-size=1400,900")
    browser.open(f"{site}/404.html")
    for page in PAGES:
        wide = browser.run(
            """const frame = document.createElement('iframe')
            frame.style.cssText = `width: ${arguments[1]}px; height: 800px; border: 0`
            frame.src = arguments[0]
            document.body.replaceChildren(frame)
            return new Promise(done => frame.addEventListener('load', () => {
              const inside = frame.contentWindow
              const loaded = inside.performance.getEntriesByType('resource').map(entry => entry.name)
              done({wide: inside.document.documentElement.scrollWidth, loaded})
            }))""",
            f"{site}/{page}",
            width,
        )
        assert wide["wide"] <= width, page
        assert {urlsplit(name).netloc for name in wide["loaded"]} <= {urlsplit(site).netloc}, page


def test_a_search_finds_the_runbook_of_an_alert(browser: Browser, site: str) -> None:
    browser.open(f"{site}/")
    deadline = time.monotonic() + 60
    while not (found := browser.run(FOUND)):  # the index is read by a worker, and then it listens
        browser.run(SEARCH, "SinalBreakerOpen")
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert any(urlsplit(name).path == "/runbooks/SinalBreakerOpen/" for name in found)
    assert {urlsplit(name).netloc for name in browser.run(LOADED)} == {urlsplit(site).netloc}
