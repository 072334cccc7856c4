"""Fixtures of the Meta emulator: an event it takes, the application without sockets, and a process
of its own.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

# Hashes of Meta's documentation: john_smith@gmail.com, 16505551212, mary, us.
EMAIL = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
PHONE = "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"
MARY = "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"
US = "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"

_PURCHASE: dict[str, Any] = {
    "event_name": "Purchase",
    "event_id": "order-1",
    "action_source": "website",
    "event_source_url": "https://loja.example/obrigado",
    "user_data": {
        "em": [EMAIL],
        "ph": [PHONE],
        "client_ip_address": "200.147.3.157",
        "client_user_agent": "Mozilla/5.0",
        "fbc": "fb.1.1795000000000.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk",
        "fbp": "fb.1.1795000000000.1098115397",
    },
    "custom_data": {
        "value": 142.52,
        "currency": "BRL",
        "order_id": "HP1",
        "contents": [{"id": "p1", "quantity": 1}],
    },
}

EventFactory = Callable[..., dict[str, Any]]


@pytest.fixture
def meta_event() -> EventFactory:
    """A website Purchase that Meta takes, changed at dotted paths; `...` removes what is there."""

    def make(changes: dict[str, Any] | None = None, *, at: float | None = None) -> dict[str, Any]:
        event = copy.deepcopy(_PURCHASE)
        event["event_time"] = int(time.time() if at is None else at)
        for path, value in (changes or {}).items():
            *parents, last = path.split(".")
            target = event
            for parent in parents:
                target = target[parent]
            if value is ...:
                target.pop(last)
            else:
                target[last] = value
        return event

    return make


@dataclass
class SandboxProcess:
    """A running emulator."""

    url: str
    process: subprocess.Popen[str]


SandboxStarter = Callable[..., Any]


@contextmanager
def running_sandbox(*options: str, **popen: Any) -> Iterator[SandboxProcess]:
    """An emulator on a free port, ended with the block."""
    command = [sys.executable, "-m", "sinal_sandbox", "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://"), line
        yield SandboxProcess(line.removeprefix("listening on ").strip(), process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def start_sandbox() -> SandboxStarter:
    """Starts emulators: `with start_sandbox("--token", "t") as sandbox`."""
    return running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """One emulator for a test file; tests use pixels of their own."""
    with running_sandbox() as running:
        yield running
