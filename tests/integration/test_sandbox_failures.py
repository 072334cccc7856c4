"""Failures a client of the Graph API must survive, over real HTTP: what it sees, and whether the
events were stored.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.eventually import PATIENCE_S
from tests.support.fix_sandbox import EventFactory, SandboxProcess

_pixels = itertools.count(1_000)


class Pixel:
    """One pixel of the emulator and a client for it; a pixel of its own keeps tests apart."""

    def __init__(self, url: str, client: httpx.Client, event: dict[str, Any]) -> None:
        self.id = str(next(_pixels))
        self.url = url
        self.client = client
        self.event = event

    def fail(self, kind: str, **fault: Any) -> None:
        script = {"faults": [{"kind": kind, "pixel": self.id, **fault}]}
        assert self.client.post(f"{self.url}/_sandbox/faults", json=script).status_code == 200

    def send(self, read_s: float = PATIENCE_S) -> httpx.Response:
        body = {"data": [self.event], "access_token": "t"}
        return self.client.post(
            f"{self.url}/v26.0/{self.id}/events",
            json=body,
            timeout=httpx.Timeout(PATIENCE_S, read=read_s),
        )

    def stored(self) -> int:
        total: int = self._get("events")["total"]
        return total

    def last_request(self) -> dict[str, Any]:
        last: dict[str, Any] = self._get("requests")["requests"][-1]
        return last

    def heard(self) -> None:
        """Wait until the emulator has read a request, whose sender may be gone."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._get("requests")["total"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _get(self, what: str) -> Any:
        return self.client.get(f"{self.url}/_sandbox/{what}", params={"pixel": self.id}).json()


@pytest.fixture
def pixel(sandbox: SandboxProcess, meta_event: EventFactory) -> Iterator[Pixel]:
    with httpx.Client(timeout=PATIENCE_S) as client:
        yield Pixel(sandbox.url, client, meta_event())
        client.delete(f"{sandbox.url}/_sandbox/faults")


def test_latency_answers_late_and_stores(pixel: Pixel) -> None:
    pixel.fail("latency", delay_ms=300)
    began = time.monotonic()
    assert pixel.send().json()["events_received"] == 1
    assert time.monotonic() - began >= 0.3
    assert pixel.stored() == 1


def test_latency_beyond_the_clients_patience_has_stored(pixel: Pixel) -> None:
    pixel.fail("latency", delay_ms=60_000)
    with pytest.raises(httpx.ReadTimeout):
        pixel.send(read_s=0.2)
    pixel.heard()
    assert pixel.stored() == 1


@pytest.mark.parametrize(
    ("kind", "stored"), [("hang", 0), ("accept_then_hang", 1), ("timeout_after_accept", 1)]
)
def test_a_hang_never_answers(pixel: Pixel, kind: str, stored: int) -> None:
    pixel.fail(kind)
    with pytest.raises(httpx.ReadTimeout):
        pixel.send(read_s=0.3)
    pixel.heard()
    assert pixel.stored() == stored
    assert pixel.last_request()["status"] is None


def test_a_hang_with_an_end_closes_without_an_answer(pixel: Pixel) -> None:
    pixel.fail("hang", delay_ms=100)
    with pytest.raises(httpx.RemoteProtocolError):
        pixel.send()


@pytest.mark.parametrize(("kind", "stored"), [("reset", 0), ("accept_then_reset", 1)])
def test_a_reset_breaks_the_connection(pixel: Pixel, kind: str, stored: int) -> None:
    pixel.fail(kind)
    with pytest.raises(httpx.ReadError) as broken:
        pixel.send()
    assert "reset" in repr(broken.value.__context__).lower() or "104" in str(broken.value)
    assert pixel.stored() == stored


def test_half_an_answer_is_stored_and_no_answer(pixel: Pixel) -> None:
    pixel.fail("answer_then_reset")
    with pytest.raises(httpx.TransportError):
        pixel.send()
    assert pixel.stored() == 1


def test_a_slow_body_comes_whole(pixel: Pixel) -> None:
    pixel.fail("slow_body", delay_ms=300)
    began = time.monotonic()
    assert pixel.send().json()["events_received"] == 1
    assert time.monotonic() - began >= 0.3


def test_html_instead_of_json(pixel: Pixel) -> None:
    pixel.fail("html")
    answer = pixel.send()
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert pixel.stored() == 0


def test_a_500_is_transient_and_may_have_stored(pixel: Pixel) -> None:
    pixel.fail("status_500")
    answer = pixel.send()
    assert (answer.status_code, answer.json()["error"]["is_transient"]) == (500, True)
    assert pixel.stored() == 0
    pixel.fail("status_500", accepted=True)
    assert pixel.send().status_code == 500
    assert pixel.stored() == 1


@pytest.mark.parametrize("code", [4, 17, 80004])
def test_throttling_tells_when_it_ends(pixel: Pixel, code: int) -> None:
    pixel.fail("throttle", code=code, retry_after_s=90)
    answer = pixel.send()
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, code)
    [usage] = json.loads(answer.headers["X-Business-Use-Case-Usage"])[pixel.id]
    assert (usage["call_count"], usage["estimated_time_to_regain_access"]) == (100, 2)
    assert json.loads(answer.headers["X-Ad-Account-Usage"])["reset_time_duration"] == 90
    assert pixel.stored() == 0


@pytest.mark.parametrize(
    ("kind", "code", "subcode"), [("auth", 190, 460), ("permission", 200, None)]
)
def test_a_pixel_loses_its_credential_and_gets_it_back(
    pixel: Pixel, kind: str, code: int, subcode: int | None
) -> None:
    pixel.fail(kind, times=2)
    errors = [pixel.send().json()["error"] for _ in range(2)]
    assert [(error["code"], error.get("error_subcode")) for error in errors] == [
        (code, subcode)
    ] * 2
    assert pixel.send().status_code == 200
    last = pixel.last_request()
    assert (last["status"], last["fault"]) == (200, None)


def test_refused_events_are_refused_whatever_the_fault(pixel: Pixel) -> None:
    pixel.event["event_time"] -= 8 * 86_400
    pixel.fail("accept_then_reset")
    assert pixel.send().json()["error"]["error_subcode"] == 2804003
    assert pixel.stored() == 0


def test_other_pixels_are_left_alone_while_one_hangs(
    pixel: Pixel, meta_event: EventFactory
) -> None:
    pixel.fail("hang")
    with pytest.raises(httpx.ReadTimeout):
        pixel.send(read_s=0.2)
    assert Pixel(pixel.url, pixel.client, meta_event()).send().status_code == 200


def test_a_bad_script_is_refused_and_changes_nothing(pixel: Pixel) -> None:
    pixel.fail("html")
    answer = pixel.client.post(
        f"{pixel.url}/_sandbox/faults", json={"faults": [{"kind": "hang", "times": "x"}]}
    )
    assert (answer.status_code, answer.json()["field"]) == (400, "faults[0].times")
    assert pixel.send().status_code == 502
