"""`kubectl sinal status`: tenants and what belongs to them, as their objects say it of
themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sinal_cli.client.show import Output, text, when
from sinal_cli.client.table import Cell, Column
from sinal_cli.kubectl.cluster import Kubectl, Object
from sinal_crds.names import GROUP
from sinal_crds.schema import FACES

COLUMNS = (
    Column("tenant"),
    Column("ready"),
    Column("reason"),
    Column("backlog", gives=3, right=True),
    Column("match %", gives=2, right=True),
    Column("last event", gives=1),
    Column("breaker", gives=4),
)
LAST = {
    "Tenant": "lastEvent",
    "Funnel": "lastEvent",
    "Destination": "lastSuccess",
    "GatewayIntegration": "lastDelivery",
}
READY = {"True": "green", "False": "red"}

Row = dict[str, Any]


def status(kubectl: Kubectl, out: Output, *, everywhere: bool) -> int:
    """A table, or JSON lines; 1 when something is not ready."""
    rows = arranged(kubectl.objects([f"{face.plural}.{GROUP}" for face in FACES.values()]))
    tabled(rows, out, everywhere=everywhere, empty="no tenants here; -A looks into every namespace")
    return 0 if all(row["ready"] == "True" for row in rows) else 1


def tabled(rows: Sequence[Row], out: Output, *, everywhere: bool, empty: str) -> None:
    """Rows for a person, or their lines for a program."""
    columns = (Column("namespace"), *COLUMNS) if everywhere else COLUMNS
    shown = lambda row: _cells(row)[0 if everywhere else 1 :]  # noqa: E731 - one row of the table
    out.items(rows, columns, shown, empty=empty)


def arranged(objects: Sequence[Object]) -> list[Row]:
    """Each tenant followed by its members; members of a tenant that there is not come last."""
    rows = sorted((_row(one) for one in objects), key=lambda row: (row["namespace"], row["name"]))
    tenants = [row for row in rows if row["kind"] == "Tenant"]
    return list(_under(tenants, [row for row in rows if row["kind"] != "Tenant"]))


def _under(tenants: list[Row], members: list[Row]) -> Iterator[Row]:
    order = list(FACES)
    members.sort(key=lambda row: order.index(row["kind"]))
    known = set()
    for tenant in tenants:
        home = (tenant["namespace"], tenant["name"])
        known.add(home)
        yield tenant
        yield from (row for row in members if (row["namespace"], row["tenant"]) == home)
    yield from (row for row in members if (row["namespace"], row["tenant"]) not in known)


def _row(found: Object) -> Row:
    metadata, said = found["metadata"], found.get("status", {})
    kind = found["kind"]
    ready, reason, message = _judged(metadata, said.get("conditions", []))
    return {
        "kind": kind,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "tenant": metadata["name"] if kind == "Tenant" else found["spec"].get("tenantRef"),
        "ready": ready,
        "reason": reason,
        "message": message,
        "backlog": said.get("backlog"),
        "match_percent": said.get("matchPercent"),
        "last_event": said.get(LAST[kind]),
        "breaker": said.get("breaker"),
    }


def _judged(metadata: Object, conditions: list[Object]) -> tuple[str, str, str]:
    """Ready with its reason and words: of this generation only, and with what else is wrong or
    paused.
    """
    by_type = {one["type"]: one for one in conditions}
    ready = by_type.pop("Ready", None)
    if (
        ready is None
        or ready.get("observedGeneration", metadata["generation"]) < metadata["generation"]
    ):
        return (
            "Unknown",
            "Outdated" if ready else "Pending",
            "the operator has not looked at it yet",
        )
    paused = by_type.pop("Paused", {}).get("status") == "True"
    wrong = next((one for one in by_type.values() if one["status"] == "False"), None)
    shown = wrong if ready["status"] == "True" and wrong is not None else ready
    reason = shown["reason"] if shown is ready else f"{shown['type']}: {shown['reason']}"
    return ready["status"], reason + (", paused" if paused else ""), shown.get("message", "")


def _cells(row: Row) -> tuple[Cell, ...]:
    name = row["name"] if row["kind"] == "Tenant" else f"  {FACES[row['kind']].short}/{row['name']}"
    if row["kind"] != "Tenant" and row["tenant"] is None:
        name += " (no tenant)"
    return (
        row["namespace"],
        text(name),
        f"[{READY.get(row['ready'], 'yellow')}]{row['ready']}[/]",
        text(row["reason"]),
        text(row["backlog"]),
        "" if row["match_percent"] is None else f"{row['match_percent']:.1f}",
        when(row["last_event"]),
        text(row["breaker"]),
    )
