"""`sinal gateways send`: a signed sample through the door of an integration, and how to follow what
becomes of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.markup import escape

from sinal_cli.client.session import Session
from sinal_cli.client.show import Output, outcome
from sinal_cli.client.table import Column
from sinal_cli.client.target import DATA, Target
from sinal_cli.offline import complain
from sinal_cli.samples import sample
from sinal_cli.samples.delivery import delivery, needs
from sinal_cli.samples.sample import Filling, NoSample
from sinal_cli.up import ready_of
from sinal_crds.loading import load

COLUMNS = (Column("gateway"), Column("event"), Column("becomes"))
TIMEOUT_S = 30.0
POLL_S = 0.1
PATIENCE_S = 60.0
_LOCAL_DIGITS = 11  # area code and number of a mobile phone


class NoDoor(Exception):
    """It is not known where to post, or with which secret; the message says how to tell."""


@dataclass(frozen=True)
class SendOptions:
    """What the command line says."""

    gateway: str
    event: str | None = None
    order: str | None = None
    click: str | None = None
    email: str | None = None
    phone: str | None = None
    tenant: str | None = None
    integration: str | None = None
    url: str | None = None
    secret: str | None = None
    files: Sequence[Path] = ()
    data: Path | None = None
    wait: bool = False


@dataclass(frozen=True)
class IntegrationUrl:
    """One integration of a running stack; its URL is a secret."""

    tenant: str | None
    integration: str | None
    url: str


def list_samples(out: Output, gateway: str | None) -> int:
    """Events of a gateway, or of all."""
    found = [one for one in sample.listed() if gateway in (None, one["gateway"])]
    row = lambda one: (one["gateway"], one["event"], one["kind"])  # noqa: E731 - one row of the table
    out.items(found, COLUMNS, row, empty=f"no samples of a gateway {gateway!r}")
    return 0 if found else 2


def send(wanted: SendOptions, out: Output) -> int:
    """0: the door took it; 1: it refused; 2: nothing was sent."""
    try:
        word, event = sample.find(wanted.gateway, wanted.event)
        order = wanted.order or sample.fresh_order(wanted.gateway)
        sample.check_order(wanted.gateway, order)
        stack = _stack(wanted.data or DATA) if wanted.url is None else {}
        door = IntegrationUrl(None, None, wanted.url) if wanted.url else _door(stack, wanted)
        sent = delivery(
            wanted.gateway, word, filling_of(wanted, order), _secret(stack, door, wanted)
        )
        answer = httpx.post(
            sent.url(door.url), content=sent.body, headers=sent.headers, timeout=TIMEOUT_S
        )
    except (NoSample, NoDoor) as error:
        complain(str(error))
        return 2
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        complain(
            f"nobody answers at the webhook's URL ({type(error).__name__}): is the stack running?"
        )
        return 2
    said = {
        "gateway": wanted.gateway, "event": word, "kind": event.kind, "order_id": order, "tenant": door.tenant,
        "integration": door.integration, "status": answer.status_code, "answer": _json(answer),
    }  # fmt: skip
    if wanted.wait and answer.is_success:
        said["outcome"] = _settled(stack, said["answer"])
    out.line(said) if out.lines else _tell(out, said)
    return 0 if answer.is_success else 1


def _settled(stack: dict[str, Any], answer: Any) -> dict[str, Any] | None:
    """The outcome of the event once it has one, as the stack's operations API tells.

    None after a while without.
    """
    ids = [event["id"] for event in answer.get("events", [])] if isinstance(answer, dict) else []
    if not ids or "api" not in stack:
        return None
    deadline = time.monotonic() + PATIENCE_S
    with Session(Target(stack["api"], stack["admin_key"])) as session:
        while time.monotonic() < deadline:
            status, event = session.probe(f"/api/v1/events/{ids[0]}")
            if status == 200 and event["outcome"]["state"] != "in_flight":
                ended: dict[str, Any] = event["outcome"]
                return ended
            time.sleep(POLL_S)
    return None


def filling_of(wanted: SendOptions, order: str) -> Filling:
    """What is put into the sample; raises NoDoor for a phone that is not Brazilian."""
    fresh = secrets.token_hex(4)
    phone = "".join(char for char in wanted.phone or "" if char.isdecimal())
    if len(phone) > _LOCAL_DIGITS:  # 55 is an area code, too
        phone = phone.removeprefix("55")
    if wanted.phone is not None and len(phone) not in (10, 11):
        raise NoDoor(
            f"--phone: give area code and number, such as 11987654321, not {wanted.phone!r}"
        )
    filling = Filling(order=order, event="", email=wanted.email or f"maria.{fresh}@example.com")
    return replace(filling, phone=phone or f"119{secrets.randbelow(10**8):08}", click=wanted.click)


def _stack(folder: Path) -> dict[str, Any]:
    try:
        stack: dict[str, Any] = msgspec.json.decode(
            ready_of(folder).read_bytes(), type=dict[str, Any]
        )
        return stack
    except (OSError, msgspec.MsgspecError):
        raise NoDoor(
            f"no stack runs on {folder}: start one with `sinal up`, give its folder with --data, "
            "or give an "
            "integration's --url and --secret"
        ) from None


def _door(stack: dict[str, Any], wanted: SendOptions) -> IntegrationUrl:
    doors = [
        (hook["gateway"], IntegrationUrl(slug, name, hook["url"]))
        for slug, tenant in stack["tenants"].items()
        for name, hook in tenant["webhooks"].items()
    ]
    fits = [
        door
        for gateway, door in doors
        if gateway == wanted.gateway
        and wanted.tenant in (None, door.tenant)
        and wanted.integration in (None, door.integration)
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        named = ", ".join(
            f"--tenant {door.tenant} --integration {door.integration}" for door in fits
        )
        raise NoDoor(f"several integrations of {wanted.gateway} fit: say which, {named}")
    there = (
        ", ".join(
            f"{door.integration} ({gateway}, tenant {door.tenant})" for gateway, door in doors
        )
        or "none"
    )
    raise NoDoor(
        f"no such integration of {wanted.gateway} in this stack; there are: {there}. Declare one, "
        "as in "
        "examples/gateways.yaml: a GatewayIntegration and the Secret that it names"
    )


def _secret(stack: dict[str, Any], door: IntegrationUrl, wanted: SendOptions) -> Mapping[str, str]:
    """What the door's Secret holds, from --secret or from the manifests that the stack runs."""
    key = needs(wanted.gateway)
    if key is None:
        return {}
    if wanted.secret is not None:
        return {key: wanted.secret}
    files = [*wanted.files] or [Path(file) for file in stack.get("files", ())]
    found = load([file for file in files if file.exists()])
    slugs = {(one.namespace, one.name): one.slug for one in found.objects.tenants}
    for one in found.objects.integrations:
        at_home = slugs.get((one.namespace, one.spec.tenant_ref)) == door.tenant
        reference = one.spec.credentials_secret_ref
        if one.name == door.integration and at_home and reference is not None:
            values = found.secrets.get(one.namespace, reference.name) or {}
            if values.get(key):
                return values
    raise NoDoor(
        f"the Secret of integration {door.integration or wanted.gateway} was not found; "
        f"{wanted.gateway} signs with "
        f"its key {key!r}: give the manifests with --file, or the value with --secret"
    )


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text[:500]


def _tell(out: Output, said: dict[str, Any]) -> None:
    head = f"[bold]{said['gateway']} {said['event']}[/] ({said['kind']}): {_verdict(said)}"
    out.console.print(head, soft_wrap=True)
    whose = f"{said['integration']} of tenant {said['tenant']}" if said["integration"] else ""
    answer = said["answer"] if isinstance(said["answer"], dict) else {"detail": said["answer"]}
    facts = [("order", escape(said["order_id"])), ("integration", escape(whose))]
    for event in answer.get("events", []):
        facts.append(
            (
                "event",
                event["id"] + (", seen before: it counts once" if event.get("duplicate") else ""),
            )
        )
    if said.get("outcome"):
        facts.append(("outcome", outcome(said["outcome"])))
    out.record(facts)
    out.say(_next(said, answer))


def _next(said: dict[str, Any], answer: dict[str, Any]) -> str:
    """What to look at now, or why it was refused."""
    if said["status"] >= 400:
        return str(answer.get("detail"))
    if answer.get("quarantined"):
        return "Kept in quarantine: `sinal quarantine list` says why."
    if said["kind"] == "ignored":
        return (
            "This gateway's notices hold only an id: Sinal asks the gateway's API for the "
            "sale, "
            "with your token."
        )
    return f"Follow it: sinal explain {said['order_id']}"


def _verdict(said: dict[str, Any]) -> str:
    return (
        f"[red]refused with {said['status']}[/]"
        if said["status"] >= 400
        else f"[green]accepted with {said['status']}[/]"
    )
