"""`sinal demo`: start a stack, play the journey, say what became of each event."""

from __future__ import annotations

import shutil
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import msgspec

from sinal_cli.demo import report
from sinal_cli.demo.journey import Journey
from sinal_cli.demo.world import DemoError, World
from sinal_cli.embedded.process import free_port
from sinal_cli.offline import complain
from sinal_cli.roles.process import run_loop, stop_event
from sinal_cli.stack import Stack
from sinal_cli.up import EXPECTED
from sinal_runtime.logs import configure


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


async def _demo(data: Path, *, as_json: bool, keep: bool, port: int | None, outcome: dict[str, bool]) -> None:
    began = time.monotonic()
    stop = stop_event()
    ports = (free_port(), free_port(), free_port()) if port is None else (port, port + 1, port + 2)
    stack = Stack(files=[examples()], data=data, ports=ports)
    await stack.start()
    try:
        rows, ledger = await _play(stack.ready)
        seconds = time.monotonic() - began
        outcome["ok"] = all(row["ok"] for row in rows) and balanced(ledger)
        if as_json:
            result = {"ok": outcome["ok"], "events": rows, "ledger": ledger, "seconds": round(seconds, 3)}
            print(msgspec.json.encode(result).decode(), flush=True)
        else:
            report.table(rows, ledger, seconds=seconds, ok=outcome["ok"])
        if keep:
            complain(f"still running: API {stack.ready['api']}, data in {stack.folder}; Ctrl-C stops it")
            await stop.wait()
    finally:
        await stack.stop()


async def _play(ready: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    async with httpx.AsyncClient(timeout=30) as client:
        world = World(ready, client)
        journey = Journey(world)
        steps = await journey.play()
        rows = await report.examine(world, steps)
        return rows, await world.ledger()


def balanced(ledger: dict[str, int]) -> bool:
    """The delivery promise: what was accepted is accounted for, and nothing of the journey is left over."""
    ended = ledger["delivered"] + ledger["withheld"] + ledger["dead"]
    return ledger["accepted"] == ended and ledger["in_flight"] == 0


def examples() -> Path:
    """The example manifests: of the checkout, or as installed."""
    checkout = Path(__file__).resolve().parents[3] / "examples"
    if (checkout / "loja.yaml").exists():
        return checkout
    return Path(str(resources.files("sinal_cli") / "examples"))
