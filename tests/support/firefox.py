"""A real Firefox over WebDriver BiDi, which it speaks by itself: no driver program stands between.

`SINAL_BROWSER=firefox make browser` drives it where Chromium is driven otherwise.

It offers what `fix_browser.Browser` offers, so that tests of pages run in both.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import websocket

from sinal_cli.embedded.process import free_port

PATIENCE_S = 60.0
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PREFERENCES: dict[str, object] = {
    "network.dns.forceResolve": "127.0.0.1",  # every host name is this machine
    "network.proxy.type": 0,
    "general.useragent.override": AGENT,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.disable_open_during_load": False,
    "dom.security.https_first": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "toolkit.telemetry.server": "http://127.0.0.1:9/",
    # hosts of `secure` send forms to plain ones: no prompt, nobody answers it
    "security.warn_submit_secure_to_insecure": False,
    "remote.active-protocols": 1,  # BiDi alone
}


class Firefox:
    """One fresh profile."""

    def __init__(self, profile: Path, *, secure: list[str]) -> None:
        profile.mkdir(parents=True)
        wanted = PREFERENCES | {"dom.securecontext.allowlist": ",".join(secure)}
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in wanted.items()
        ]
        (profile / "user.js").write_text("\n".join(lines))
        port = free_port()
        program = shutil.which("firefox-esr") or shutil.which("firefox")
        assert program, "Firefox is missing: install Debian's firefox-esr"
        command = [program, "--headless", "--no-remote", "--profile", str(profile)]
        self._process = subprocess.Popen(
            [*command, f"--remote-debugging-port={port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._socket = self._connect(port)
        self._last = 0
        self._faults: list[str] = []
        self._call("session.new", {"capabilities": {"alwaysMatch": {}}})
        self._tab = str(self._call("browsingContext.getTree", {})["contexts"][0]["context"])

    def _connect(self, port: int) -> websocket.WebSocket:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return websocket.create_connection(
                    f"ws://127.0.0.1:{port}/session",
                    timeout=PATIENCE_S,
                    suppress_origin=True,
                    http_no_proxy=["127.0.0.1"],
                )
            except (OSError, websocket.WebSocketException):
                assert self._process.poll() is None, "Firefox ended while starting"
                assert time.monotonic() < deadline, "Firefox does not answer"
                time.sleep(0.05)

    def close(self) -> None:
        """End the browser."""
        self._call("browser.close", {})
        self._socket.close()
        self._process.wait(timeout=PATIENCE_S)

    def open(self, url: str) -> None:
        """Go to a page and wait for its load."""
        self._call(
            "browsingContext.navigate", {"context": self._tab, "url": url, "wait": "complete"}
        )

    def run(self, script: str, *arguments: object) -> Any:
        """Run a function body in the page; a promise is waited for."""
        told = self._call(
            "script.callFunction",
            {
                "functionDeclaration": (
                    "async function(told) { const found = await (async function() {"
                    + script
                    + "\n}).apply(window, JSON.parse(told)); return JSON.stringify(found ?? null) }"
                ),
                "arguments": [{"type": "string", "value": json.dumps(arguments)}],
                "target": {"context": self._tab},
                "awaitPromise": True,
                "userActivation": False,
            },
        )
        if told["type"] == "exception":
            raise RuntimeError(f"javascript error: {told['exceptionDetails']['text']}")
        return json.loads(told["result"]["value"])

    def click(self, selector: str) -> None:
        """Click as a person does."""
        found = self._call(
            "browsingContext.locateNodes",
            {"context": self._tab, "locator": {"type": "css", "value": selector}},
        )["nodes"]
        if not found:
            raise RuntimeError(f"no such element: {selector}")
        self.run("document.querySelector(arguments[0]).scrollIntoView()", selector)
        origin = {"type": "element", "element": {"sharedId": found[0]["sharedId"]}}
        steps: list[dict[str, object]] = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        pointer = {"type": "pointer", "id": "mouse", "actions": steps}
        before = self.url
        self._call("input.performActions", {"context": self._tab, "actions": [pointer]})
        self._settle(before)

    def _settle(self, before: str) -> None:
        """Wait for the load of a page that a click has led to, as WebDriver's click does."""
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            if self.url != before:
                break
            time.sleep(0.05)
        self.run(
            "if (document.readyState !== 'complete')"
            " await new Promise((done) => addEventListener('load', done))"
        )

    def tab(self, kind: str = "tab") -> str:
        """Open another tab and go there; returns the one that was left."""
        before = self._tab
        self.go(str(self._call("browsingContext.create", {"type": kind})["context"]))
        return before

    def go(self, tab: str) -> None:
        """Go to a tab."""
        self._call("browsingContext.activate", {"context": tab})
        self._tab = tab

    def back(self) -> None:
        """The back button."""
        before = self.url
        self._call("browsingContext.traverseHistory", {"context": self._tab, "delta": -1})
        self._settle(before)

    @property
    def url(self) -> str:
        """Where it is."""
        tree = self._call("browsingContext.getTree", {"root": self._tab, "maxDepth": 0})
        return str(tree["contexts"][0]["url"])

    @property
    def cookies(self) -> dict[str, dict[str, Any]]:
        """Cookies of the page's site by name, with domain and expiry."""
        partition = {"type": "context", "context": self._tab}
        found = self._call("storage.getCookies", {"partition": partition})["cookies"]
        host = urlsplit(self.url).hostname or ""
        return {
            one["name"]: {
                **one,
                "value": one["value"]["value"],
                "sameSite": str(one["sameSite"]).capitalize(),
            }
            for one in found
            if host == one["domain"].lstrip(".") or host.endswith("." + one["domain"].lstrip("."))
        }

    @property
    def storage(self) -> dict[str, str]:
        """Local storage of the page's origin."""
        found: dict[str, str] = self.run("return {...localStorage}")
        return found

    def offline(self, yes: bool) -> None:
        """Lose the network, or have it back."""
        conditions = {"type": "offline"} if yes else None
        self._call(
            "emulation.setNetworkConditions",
            {"networkConditions": conditions, "contexts": [self._tab]},
        )

    def faults(self) -> list[str]:
        """What the page's own error handler has seen (see `World.page`)."""
        found: list[str] = self.run("return window.faults")
        return found

    def _call(self, method: str, parameters: dict[str, Any]) -> Any:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == self._last:
                break
        if told["type"] == "error":
            raise RuntimeError(f"{told['error']}: {told['message'].splitlines()[0]}")
        return told["result"]
