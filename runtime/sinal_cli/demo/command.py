"""`sinal demo`: start a stack, play the journey, say what became of each event."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import msgspec

from sinal_cli.data_folder import Instance
from sinal_cli.demo import report
from sinal_cli.demo.journey import Journey
from sinal_cli.demo.shop import TENANT, DemoError, RunningStack
from sinal_cli.embedded.process import free_port
from sinal_cli.local.ports import asked
from sinal_cli.offline import complain
from sinal_cli.roles.process import run_loop, stop_event, unless
from sinal_cli.stack import Stack
from sinal_cli.up import EXPECTED
from sinal_core.telemetry.logs import configure


def run_demo(*, as_json: bool, keep: bool, data: Path | None, port: int | None) -> int:
    """0 only if every event ended as it should."""
    configure(level="error", json=False)
    temporary = None if data is not None else Path(tempfile.mkdtemp(prefix="sinal-demo-"))
    outcome: dict[str, bool] = {"ok": False}
    try:
        run_loop(_demo(data or temporary, as_json=as_json, keep=keep, port=port, outcome=outcome))  # type: ignore[arg-type]
    except (*EXPECTED, DemoError) as error:
        if as_json:
            print(msgspec.json.encode({"ok": False, "error": str(error)}).decode())
        complain(str(error))
    finally:
        if temporary is not None and not keep:
            shutil.rmtree(temporary, ignore_errors=True)
    return 0 if outcome["ok"] else 1


def play_against(ready_file: Path, *, as_json: bool) -> int:
    """Play against a stack that runs already.

    0 only if every event ended as it should, 2 for a file of no stack.
    """
    configure(level="error", json=False)
    outcome = {"ok": False}
    try:
        ready = msgspec.json.decode(ready_file.read_bytes(), type=dict[str, Any])
        missing = {"ingest", "api", "sandbox", "admin_key", "tenants"} - ready.keys()
        if missing or TENANT not in ready["tenants"]:
            wanted = (
                f"no {', '.join(sorted(missing))}"
                if missing
                else f"no tenant {TENANT}: apply examples/ first"
            )
            complain(f"{ready_file} describes no stack with the shop of examples/: {wanted}")
            return 2
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        complain(f"{ready_file}: {error}; write it with `sinal up --ready-file`")
        return 2

    async def work() -> None:
        outcome["ok"] = await _told(ready, time.monotonic(), as_json=as_json)

    try:
        run_loop(work())
    except (DemoError, httpx.HTTPError) as error:
        complain(str(error) or type(error).__name__)
    return 0 if outcome["ok"] else 1


async def _demo(
    data: Path, *, as_json: bool, keep: bool, port: int | None, outcome: dict[str, bool]
) -> None:
    began = time.monotonic()
    stop = stop_event()
    with Instance(data).opened() as instance:
        await _on(instance, stop, began, as_json=as_json, keep=keep, port=port, outcome=outcome)


async def _on(
    instance: Instance,
    stop: asyncio.Event,
    began: float,
    *,
    as_json: bool,
    keep: bool,
    port: int | None,
    outcome: dict[str, bool],
) -> None:
    ports = (free_port(), free_port(), free_port()) if port is None else asked(port)[:3]
    stack = Stack(instance, files=[examples()], ports=ports)
    complain("Starting PostgreSQL, NATS, Redis, a sandbox for Meta and every role …")
    if not await stack.start_unless(stop):
        complain("stopped before it was up")
        return
    try:
        told = await unless(stop, _told(stack.ready, began, as_json=as_json))
        outcome["ok"] = told or False
        if told is None:
            complain("stopped before its end")
        elif keep:
            complain(
                f"still running: API {stack.ready['api']}, data in {stack.folder}; Ctrl-C stops it"
            )
            await stop.wait()
    finally:
        await stack.stop()


async def _told(ready: dict[str, Any], began: float, *, as_json: bool) -> bool:
    """Play and say what came of it; whether all ended as it should."""
    rows, ledger = await _play(ready)
    seconds = time.monotonic() - began
    ok = all(row["ok"] for row in rows) and balanced(ledger)
    if as_json:
        result = {"ok": ok, "events": rows, "ledger": ledger, "seconds": round(seconds, 3)}
        print(msgspec.json.encode(result).decode(), flush=True)
    else:
        report.table(rows, ledger, seconds=seconds, ok=ok)
    return ok


async def _play(ready: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    async with httpx.AsyncClient(timeout=60) as client:
        world = RunningStack(ready, client)
        journey = Journey(world)
        complain("Playing visits, checkouts and webhooks of six gateways …")
        steps = await journey.play()
        complain("Waiting until each event has ended …")
        rows = await report.examine(world, steps)
        return rows, await world.ledger()


def balanced(ledger: dict[str, int]) -> bool:
    """The delivery promise: what was accepted is accounted for, and nothing of the journey is left
    over.
    """
    ended = ledger["delivered"] + ledger["withheld"] + ledger["dead"]
    return ledger["accepted"] == ended and ledger["in_flight"] == 0


def examples() -> Path:
    """The example manifests: of the checkout, or as installed."""
    checkout = Path(__file__).resolve().parents[3] / "examples"
    if (checkout / "loja.yaml").exists():
        return checkout
    return Path(str(resources.files("sinal_cli") / "examples"))
