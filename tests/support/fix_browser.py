"""Fixtures of the browser tests: a real Chromium over WebDriver, and a little internet of shops for
it.

Every host name leads to one server of the test: it serves the pages that a test puts there, serves
the page script as the edge does, and keeps whatever is posted to the batch endpoint.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from sinal_cli.embedded.process import free_port
from sinal_hub.ingest.tracking.script import Config, Rendered

from tests.support.firefox import Firefox

KEY = "fk_curso"
TRACKER = "track.loja.example"
FLAGS = (
    "--headless=new",
    # Its own says HeadlessChrome, and Sinal withholds what such a browser does.
    "--user-agent=Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 "
    "Safari/537.36",
    # As root, in a container for instance, Chromium refuses to start with its sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Containers have 64 MB of shared memory unless told otherwise, too little for Chromium.
    "--disable-dev-shm-usage",
    "--disable-popup-blocking",
)
FIREFOX = os.environ.get("SINAL_BROWSER") == "firefox"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the WebDriver standard's name of a reference


class Browser:
    """One fresh Chromium profile."""

    def __init__(self, driver: str, arguments: list[str]) -> None:
        # A proxy of the machine's environment has no business between the test and its own driver.
        self._http = httpx.Client(base_url=driver, timeout=60, trust_env=False)
        options = {"binary": shutil.which("chromium"), "args": arguments}
        always = {"browserName": "chrome", "goog:chromeOptions": options}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": always}})
        self._path = f"/session/{made['sessionId']}"

    def close(self) -> None:
        """End the browser."""
        self._call("DELETE", self._path)
        self._http.close()

    def open(self, url: str) -> None:
        """Go to a page and wait for its load."""
        self._call("POST", f"{self._path}/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """Run a function body in the page; a promise is waited for."""
        return self._call(
            "POST", f"{self._path}/execute/sync", {"script": script, "args": list(arguments)}
        )

    def click(self, selector: str) -> None:
        """Click as a person does."""
        found = self._call(
            "POST", f"{self._path}/element", {"using": "css selector", "value": selector}
        )
        self._call("POST", f"{self._path}/element/{found[_ELEMENT]}/click", {})

    def tab(self, kind: str = "tab") -> str:
        """Open another tab and go there; returns the one that was left."""
        before = str(self._call("GET", f"{self._path}/window"))
        made = self._call("POST", f"{self._path}/window/new", {"type": kind})
        self.go(made["handle"])
        return before

    def go(self, tab: str) -> None:
        """Go to a tab."""
        self._call("POST", f"{self._path}/window", {"handle": tab})

    def back(self) -> None:
        """The back button."""
        self._call("POST", f"{self._path}/back", {})

    def offline(self, yes: bool) -> None:
        """Take the connection away, or give it back."""
        speed = {"offline": yes, "latency": 0, "throughput": -1}
        self._call(
            "POST", f"{self._path}/chromium/network_conditions", {"network_conditions": speed}
        )

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._call("GET", f"{self._path}/url"))

    @property
    def cookies(self) -> dict[str, dict[str, Any]]:
        """Cookies of the page's site by name, with domain and expiry."""
        return {cookie["name"]: cookie for cookie in self._call("GET", f"{self._path}/cookie")}

    @property
    def storage(self) -> dict[str, str]:
        """Local storage of the page's origin."""
        found: dict[str, str] = self.run("return {...localStorage}")
        return found

    def faults(self) -> list[str]:
        """What the page's own error handler has seen (see `World.page`)."""
        found: list[str] = self.run("return window.faults")
        return found

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._http.request(method, path, json=body)
        value = answer.json()["value"]
        if answer.is_error:
            raise RuntimeError(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value


@dataclass
class Delivery:
    """One request to the batch endpoint."""

    events: list[dict[str, Any]]
    funnel: str
    headers: dict[str, str]
    at: float
    path: str = ""


@dataclass
class World:
    """The hosts of a test: pages to serve, deliveries received, answers to give."""

    port: int
    config: Config
    pages: dict[str, str] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    visits: list[str] = field(default_factory=list)  # every page asked for, as host and target
    second_is_blocked: bool = False
    # the next ones; then 202
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    def url(self, address: str) -> str:
        """`loja.example/a` with scheme and port."""
        host, _, rest = address.partition("/")
        return f"http://{host}:{self.port}/{rest}"

    @property
    def tag(self) -> str:
        """The script element."""
        return f'<script async src="{self.url(TRACKER)}s.js?f={KEY}"></script>'

    def page(self, address: str, body: str = "", *, head: str | None = None) -> str:
        """Put a page with the tracker at an address; returns its URL."""
        watch = "<script>window.faults=[];addEventListener('error',e=>faults.push(e.message));"
        watch += "addEventListener('unhandledrejection',e=>faults.push(String(e.reason)))</script>"
        top = self.tag if head is None else head
        self.pages[address] = (
            f"<!doctype html><title>p</title><head>{watch}{top}</head><body>{body}</body>"
        )
        return self.url(address)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything received, in order, repeats included."""
        return [event for delivery in self.deliveries for event in delivery.events]

    def kinds(self) -> list[str]:
        """Types of what was received, without repeats."""
        return [
            event["type"] for event in {event["event_id"]: event for event in self.events}.values()
        ]

    def wait(self, enough: Callable[[], object], *, seconds: float = 60.0) -> None:
        """Until `enough()`; fails with what was received."""
        deadline = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < deadline, f"received only {json.dumps(self.events, indent=1)}"
            time.sleep(0.02)

    def got(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The first events of a kind, waited for."""
        self.wait(lambda: self.kinds().count(kind) >= count)
        unique = {event["event_id"]: event for event in self.events if event["type"] == kind}
        return list(unique.values())


def _handler(world: World) -> type[BaseHTTPRequestHandler]:
    program, second = (
        files("sinal_hub.ingest.tracking").joinpath(name).read_bytes()
        for name in ("s.min.js", "s2.min.js")
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            target = urlsplit(self.path)
            address = self.headers["Host"].partition(":")[0] + target.path
            if target.path.endswith("/s.js"):
                is_second = "part=2" in target.query
                if is_second and world.second_is_blocked:
                    return self._answer(404, b"", {})
                script = (
                    Rendered(second, None) if is_second else Rendered(program, world.config)
                ).compressed
                return self._answer(
                    200, script, {"Content-Type": "text/javascript", "Content-Encoding": "gzip"}
                )
            world.visits.append(self.headers["Host"].partition(":")[0] + self.path)
            page = world.pages.get(address, "<!doctype html><title>nothing here</title>")
            return self._answer(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            document = json.loads(raw)
            names = {name.lower(): value for name, value in self.headers.items()}
            world.deliveries.append(
                Delivery(document["events"], document["funnel"], names, time.monotonic(), self.path)
            )
            status, headers, body = (
                world.answers.pop(0) if world.answers else (202, {}, b'{"events":[]}')
            )
            open_to = {"Access-Control-Allow-Origin": self.headers.get("Origin", "*")}
            self._answer(
                status, body, open_to | {"Access-Control-Expose-Headers": "retry-after"} | headers
            )

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (
                {"Content-Length": str(len(body)), "Cache-Control": "no-store"} | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler


@pytest.fixture
def world() -> Iterator[World]:
    """The tenant `loja` with its funnel: consent granted by default, cookies at once."""
    config = Config(
        key=KEY,
        tenant="loja",
        path="",
        consent=True,
        early=True,
        hosts=("loja.example", "*.loja.example", "irma.example"),
    )
    made = World(port=0, config=config)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    server.daemon_threads = True
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def driver() -> Iterator[str]:
    """Base URL of a running chromedriver."""
    for program in ("chromium", "chromedriver"):
        assert shutil.which(program), (
            f"{program} is missing: install Debian's chromium and chromium-driver"
        )
    port = free_port()
    process = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/status", trust_env=False, timeout=60).json()["value"]["ready"]:
                break
        except httpx.TransportError:
            assert time.monotonic() < deadline, "chromedriver does not answer"
        time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(timeout=60)


BrowserStarter = Callable[..., Browser]


@pytest.fixture
def open_browser(driver: str, world: World, tmp_path: Path) -> Iterator[BrowserStarter]:
    """Starts browsers with an empty profile in which every host name is this machine."""
    opened: list[Browser] = []

    def start(*flags: str) -> Browser:
        profile = tmp_path / f"profile{len(opened)}"
        if FIREFOX:
            assert not flags, "flags are Chromium's"
            hosts = ["loja.example", "lp.loja.example"]
            opened.append(Firefox(profile, secure=hosts))  # type: ignore[arg-type]  # the same methods
            return opened[-1]
        secure = ",".join(
            world.url(host).rstrip("/") for host in ("loja.example", "lp.loja.example")
        )
        rules = [
            "--host-resolver-rules=MAP * 127.0.0.1",
            # Pages have no TLS here, and browsers keep a part of their API for secure ones.
            f"--unsafely-treat-insecure-origin-as-secure={secure}",
        ]
        opened.append(Browser(driver, [*FLAGS, *rules, f"--user-data-dir={profile}", *flags]))
        return opened[-1]

    yield start
    for browser in opened:
        browser.close()


@pytest.fixture
def browser(open_browser: BrowserStarter) -> Browser:
    """One browser."""
    return open_browser()
