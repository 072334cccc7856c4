"""The API suspends and resumes within what a key may.

What is suspended is told as that, and never as a fault.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sinal_api.app import Parts, build
from sinal_core.nats.depth import Depth
from sinal_core.plans.testing import StaticPlans
from sinal_crds.plan import TenantPlan
from sinal_crds.tenant_status import ObservedDestination, ObservedIntegration, ObservedTenant
from sinal_hub.meta.tokens import TokenState
from sinal_hub.model.events import Refused, Tallies
from sinal_hub.services.manifest_sink import FolderSink
from sinal_hub.store.tenant_status import DestinationHealthStore, TenantStatusStore

from tests.support.fix_operations import ApiRig, tenants

PART = {
    "Funnel": ("funnels", "curso"),
    "Destination": ("destinations", "pixel"),
    "GatewayIntegration": ("integrations", "hotmart-principal"),
}
MADE = {
    "tenant": "loja",
    "name": "novo",
    "spec": {"landingHosts": ["a.example"], "destinationRefs": ["pixel"]},
}


class Meta:
    """Calls every token dead."""

    async def check(self, destination: object) -> TokenState:
        return TokenState(valid=False, expires_at=None, problem="Meta says: expired (code 190)")


def stopped(kind: str) -> TenantPlan:
    """The tenant `loja` with one thing suspended."""
    loja, _ = tenants()
    if kind == "Tenant":
        return msgspec.structs.replace(loja, suspended=True)
    part, _ = PART[kind]
    (one,) = getattr(loja, part)
    return msgspec.structs.replace(loja, **{part: (msgspec.structs.replace(one, suspended=True),)})


def rebuilt(
    rig: ApiRig, *plans: TenantPlan, folder: Path | None = None, tokens: Meta | None = None
) -> None:
    rig.plans = StaticPlans(*plans, tenants()[1])
    sink = FolderSink(folder) if folder else None
    rig.app = build(Parts(rig.database, rig.bus, rig.plans, rig.secret, sink=sink, tokens=tokens))


async def ask(
    rig: ApiRig, kind: str, name: str, *, to: bool = True, **options: Any
) -> tuple[int, dict[str, Any]]:
    body = {"tenant": "loja", "kind": kind, "name": name, "suspended": to}
    answer = await rig.call("PUT", "/api/v1/suspensions", json=body, **options)
    return answer.status_code, answer.json()


async def test_what_was_made_here_is_suspended_and_resumed_in_its_file(
    api_rig: ApiRig, tmp_path: Path
) -> None:
    rig, (loja, _) = api_rig, tenants()
    rebuilt(rig, loja, folder=tmp_path)
    assert (await rig.call("POST", "/api/v1/funnels", json=MADE)).status_code == 201
    (file,) = tmp_path.iterdir()  # noqa: ASYNC240
    before = file.read_text()
    funnels = (*loja.funnels, msgspec.structs.replace(loja.funnels[0], name="novo"))
    rebuilt(rig, msgspec.structs.replace(loja, funnels=funnels), folder=tmp_path)
    for _ in range(2):
        assert await ask(rig, "Funnel", "novo") == (
            200,
            {
                "tenant": "loja",
                "kind": "Funnel",
                "name": "novo",
                "suspended": True,
                "kept_as": file.name,
            },
        )
    assert file.read_text() == before + "  suspended: true\n"
    assert (await ask(rig, "Funnel", "novo", to=False))[0] == 200
    assert file.read_text() == before + "  suspended: false\n"
    audit = await rig.rows(
        "select action, tenant_id, target from audit_log where target = 'novo' order by id"
    )
    assert [one["action"] for one in audit] == [
        "funnel.create",
        *["funnel.suspend"] * 2,
        "funnel.resume",
    ]
    file.write_text("# by hand\n" + before)
    status, refused = await ask(rig, "Funnel", "novo")
    assert (status, refused["errors"][0]["field"]) == (409, "spec.suspended")
    assert file.read_text() == "# by hand\n" + before


@pytest.mark.parametrize("kind", PART)
async def test_what_is_in_a_persons_file_is_left_to_the_person(
    api_rig: ApiRig, tmp_path: Path, kind: str
) -> None:
    rebuilt(api_rig, tenants()[0], folder=tmp_path)
    status, refused = await ask(api_rig, kind, PART[kind][1])
    assert status == 409 and "in a file of yours" in refused["detail"]
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


async def test_who_may_not_or_names_nothing_is_refused(api_rig: ApiRig, tmp_path: Path) -> None:
    rig = api_rig
    assert (await ask(rig, "Funnel", "curso"))[0] == 501
    rebuilt(rig, tenants()[0], folder=tmp_path)
    admin, operator = await rig.key(role="admin"), await rig.key(role="operator")
    rival = await rig.key(tenant="outra", role="admin")
    assert (await ask(rig, "Funnel", "curso", key=operator))[0] == 403
    assert (await ask(rig, "Funnel", "curso", key=rival))[0] == 404
    assert (await ask(rig, "Tenant", "loja", to=False, key=admin))[0] == 403, (
        "who was cut off does not resume itself"
    )
    assert (await ask(rig, "Funnel", "curso", key=admin))[0] == 409
    assert (await ask(rig, "Destination", "curso"))[0] == 404
    assert (await ask(rig, "Tenant", "outra"))[0] == 400
    assert not await rig.rows("select 1 as one from audit_log where action like '%%.suspend'")


@pytest.mark.parametrize("kind", ["Tenant", *PART])
async def test_what_is_suspended_is_shown(api_rig: ApiRig, kind: str) -> None:
    rig = api_rig
    rig.bus.facts = ObservedTenant(
        destinations={"pixel": ObservedDestination()},
        integrations={"hotmart-principal": ObservedIntegration()},
    )
    rebuilt(rig, stopped(kind))
    name = "loja" if kind == "Tenant" else PART[kind][1]
    listed = (await rig.call("GET", "/api/v1/suspensions")).json()["suspended"]
    assert listed == [{"tenant": "loja", "kind": kind, "name": name}]
    stranger = await rig.key(tenant="outra", role="viewer")
    assert (await rig.call("GET", "/api/v1/suspensions", key=stranger)).json() == {"suspended": []}
    (funnel,) = (await rig.call("GET", "/api/v1/funnels?tenant=loja")).json()["funnels"]
    assert funnel["suspended"] is (kind in ("Tenant", "Funnel"))
    runtime = (await rig.call("GET", "/api/v1/tenants/loja/summary")).json()["runtime"]
    assert runtime["destinations"]["pixel"]["suspended"] is (kind in ("Tenant", "Destination"))
    refuses = kind in ("Tenant", "Funnel", "GatewayIntegration")
    assert runtime["integrations"]["hotmart-principal"]["suspended"] is refuses


@pytest.mark.parametrize("kind", ["Tenant", *PART])
async def test_the_doctor_notes_it_and_does_not_fail(api_rig: ApiRig, kind: str) -> None:
    """Everything that suspending brings about looks like a fault: refused deliveries, a queue, a
    breaker, a token.
    """
    rig, now = api_rig, int(time.time())
    await note_refused(rig, now)
    if kind in ("Tenant", "Destination"):
        await DestinationHealthStore(rig.database, worker="dispatch-1").opened(
            "loja", "pixel", reason="credential", wait_s=60
        )
        rig.bus.waiting = [Depth("loja", "dispatch-pixel", 20_000, 0)]
    rebuilt(rig, stopped(kind), tokens=Meta() if kind in ("Tenant", "Destination") else None)
    found = (await rig.call("GET", "/api/v1/status?tenant=loja&tokens=true")).json()
    (note,) = [one for one in found["findings"] if one["grade"] != "ok"]
    name = "Tenant" if kind == "Tenant" else f"{kind} {PART[kind][1]}"
    assert (note["area"], note["subject"], note["grade"]) == ("plans", f"loja: {name}", "warning")
    assert note["detail"].startswith("it is suspended: ") and "resumes it" in note["advice"]
    assert found["ok"]


async def note_refused(rig: ApiRig, now: int) -> None:
    refused = Refused(
        tenant="loja",
        integration="hotmart-principal",
        gateway="hotmart",
        reason="suspended",
        missing="",
        network="203.0.113.0/24",
        hour=now // 3600 * 3600,
        worker="edge-1",
        deliveries=30,
        first_at=now - 60,
        last_at=now,
    )
    await TenantStatusStore(rig.room.database).note(Tallies(tallies=[], refused=[refused]))


@pytest.mark.parametrize("kind", ["Tenant", "Destination"])
async def test_a_delivery_that_waits_for_it_says_so(api_rig: ApiRig, kind: str) -> None:
    sale = api_rig.room.sale()
    await api_rig.room.deliver(sale)
    rebuilt(api_rig, stopped(kind))
    found = (await api_rig.call("GET", f"/api/v1/events/{sale.id}")).json()
    (delivery,) = found["deliveries"]
    assert delivery["waiting"] == {"code": "suspended", "params": {"what": kind.lower()}}
