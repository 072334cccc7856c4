"""The emulator as a process: start, stop, restart, options, and Meta's own SDK as its client."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.support.fix_sandbox import EMAIL, EventFactory, SandboxStarter


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start_sandbox: SandboxStarter, number: signal.Signals) -> None:
    with start_sandbox() as sandbox:
        assert httpx.get(f"{sandbox.url}/_sandbox/health", timeout=60).json()["status"] == "ok"
        sandbox.process.send_signal(number)
        assert sandbox.process.wait(timeout=60) == 0
        assert sandbox.process.stderr.read() == ""


def test_hanging_requests_do_not_hold_up_the_end(
    start_sandbox: SandboxStarter, meta_event: EventFactory
) -> None:
    with start_sandbox() as sandbox:
        httpx.post(
            f"{sandbox.url}/_sandbox/faults", json={"faults": [{"kind": "hang"}]}, timeout=60
        )
        ended = threading.Event()

        def send() -> None:
            with pytest.raises(httpx.TransportError):
                httpx.post(
                    f"{sandbox.url}/v26.0/1/events", json={"data": [meta_event()]}, timeout=120
                )
            ended.set()

        sender = threading.Thread(target=send)
        sender.start()
        while httpx.get(f"{sandbox.url}/_sandbox/requests", timeout=60).json()["total"] == 0:
            time.sleep(0.02)
        sandbox.process.send_signal(signal.SIGTERM)
        assert sandbox.process.wait(timeout=60) == 0
        sender.join(timeout=60)
        assert ended.is_set()


def test_it_needs_no_stdin(start_sandbox: SandboxStarter) -> None:
    command = f"exec {sys.executable} -m sinal_sandbox --port 0 <&-"
    process = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert (
        httpx.get(
            f"{line.removeprefix('listening on ').strip()}/_sandbox/health", timeout=60
        ).status_code
        == 200
    )
    process.terminate()
    process.communicate()
    assert process.returncode == 0


def test_a_taken_port_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "sinal_sandbox", "--port", port],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1


def test_options_reach_the_emulator(
    start_sandbox: SandboxStarter, meta_event: EventFactory
) -> None:
    with start_sandbox("--token", "good", "--pixel", "7", "--keep", "2") as sandbox:

        def code(pixel: str, token: str, event_id: str) -> int:
            body = {"data": [meta_event({"event_id": event_id})], "access_token": token}
            answer = httpx.post(f"{sandbox.url}/v26.0/{pixel}/events", json=body, timeout=60).json()
            return int(answer.get("error", {}).get("code", 0))

        assert [code("7", "good", str(n)) for n in range(3)] == [0, 0, 0]
        assert code("7", "other", "x") == 190
        assert code("8", "good", "x") == 100
        assert httpx.get(f"{sandbox.url}/_sandbox/health", timeout=60).json()["events"]["kept"] == 2


def test_a_killed_emulator_remembers(
    start_sandbox: SandboxStarter, tmp_path: Path, meta_event: EventFactory
) -> None:
    data = str(tmp_path / "events.jsonl")
    body = {"data": [meta_event()], "access_token": "t"}
    for duplicate in (False, True):
        with start_sandbox("--data", data) as sandbox:
            assert (
                httpx.post(f"{sandbox.url}/v26.0/1/events", json=body, timeout=60).status_code
                == 200
            )
            sandbox.process.kill()
            sandbox.process.wait()
        with start_sandbox("--data", data) as sandbox:
            newest = httpx.get(f"{sandbox.url}/_sandbox/events", timeout=60).json()["events"][-1]
            assert newest["duplicate"] is duplicate


SDK = """
import sys, time
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

FacebookSession.GRAPH = sys.argv[1]
FacebookAdsApi.init(access_token="t", crash_log=False)
user = UserData(email="john_smith@gmail.com", client_user_agent="Mozilla/5.0", client_ip_address="200.147.3.157")
event = Event(
    event_name="Purchase", event_time=int(time.time()), event_id="sdk-1", user_data=user,
    custom_data=CustomData(value=97.0, currency="brl"), action_source=ActionSource.WEBSITE,
    event_source_url="https://loja.example/obrigado",
)
print(EventRequest(pixel_id="4711", events=[event], test_event_code="TEST4711").execute().events_received)
"""


def test_metas_own_sdk_is_understood(start_sandbox: SandboxStarter) -> None:
    with start_sandbox() as sandbox:
        sent = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SDK, sandbox.url],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert sent.stdout.strip() == "1", sent.stderr
        [kept] = httpx.get(
            f"{sandbox.url}/_sandbox/events", params={"pixel": "4711"}, timeout=60
        ).json()["events"]
    assert kept["test_event_code"] == "TEST4711"
    assert kept["event"]["event_id"] == "sdk-1"
    assert kept["event"]["user_data"]["em"] in (EMAIL, [EMAIL])
