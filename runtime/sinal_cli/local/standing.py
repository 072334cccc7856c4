"""`sinal status`: what a running stack declares, as `kubectl sinal status` shows a cluster, with
webhook URLs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from sinal_cli.client.show import Output
from sinal_cli.client.target import NoTarget
from sinal_cli.kubectl.status import Row, arranged, tabled
from sinal_cli.local.statuses import FILE


def status(folder: Path, out: Output) -> int:
    """A table, or JSON lines; 1 when something is not ready, refused or leaving.

    Raises NoTarget without a stack.
    """
    said = _said(folder)
    urls = {
        _key(item): item["status"]["webhookURL"]
        for item in said["items"]
        if "webhookURL" in item["status"]
    }
    rows = [row | {"webhook_url": urls.get(_of(row))} for row in arranged(said["items"])]
    tabled(
        rows,
        out,
        everywhere=False,
        empty="nothing is declared: start with `sinal up --file examples`",
    )
    if not out.lines:
        _beneath(rows, said, out)
    good = all(row["ready"] == "True" for row in rows)
    return 0 if good and not said["refused"] and not said["leaving"] else 1


def _said(folder: Path) -> dict[str, Any]:
    try:
        said: dict[str, Any] = msgspec.json.decode(
            (folder / FILE).read_bytes(), type=dict[str, Any]
        )
        os.kill(said["pid"], 0)
    except PermissionError:
        raise NoTarget(f"{folder} is somebody else's: run this as its owner") from None
    except (OSError, msgspec.MsgspecError):
        raise NoTarget(
            f"no stack runs on {folder}: start one with `sinal up`, or give its --data"
        ) from None
    return said


def _beneath(rows: list[Row], said: dict[str, Any], out: Output) -> None:
    """What a table has no room for: why not, where webhooks go, what files say that is refused."""
    for row in rows:
        if row["ready"] != "True":
            out.say(f"{row['kind']} {row['name']}: {row['message']}")
    hooks = [row for row in rows if row["webhook_url"]]
    if hooks:
        out.write([Text("")])
    for row in hooks:
        out.write([Text(f"{row['name']}: {row['webhook_url']}")])
    for item in said["items"]:
        if also := item["status"].get("alsoTaken"):
            out.say(f"{item['kind']} {item['metadata']['name']}: also taken: {also}")
    for line in said["refused"]:
        out.say(f"refused: {line}")
    for one in said["leaving"]:
        out.say(f"tenant {one['tenant']} is in no file any more and ends at {one['endsAt']}")


def _key(item: dict[str, Any]) -> tuple[str, str, str]:
    return item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]


def _of(row: Row) -> tuple[str, str, str]:
    return row["kind"], row["namespace"], row["name"]
