"""Deliveries that the edge refused reach the operations API: by reason, bounded, each tenant's for
itself.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from sinal_core.postgres.errors import StoreRejected
from sinal_hub.model.events import Refused, Spooled, Tallies
from sinal_hub.store.refusals import RefusalStore
from sinal_hub.store.retention import purge
from sinal_hub.store.tenant_status import TenantStatusStore

from tests.support.fix_operations import ApiRig

NOW = int(time.time())


def refused(
    integration: str = "hotmart", *, tenant: str = "loja", ago: int = 10, **changes: Any
) -> Refused:
    values: dict[str, Any] = {
        "tenant": tenant,
        "integration": integration,
        "gateway": "hotmart",
        "reason": "proof_wrong",
        "missing": "",
        "network": "203.0.113.0/24",
        "hour": (NOW - ago) // 3600 * 3600,
        "worker": "edge-1",
        "deliveries": 3,
        "first_at": NOW - ago - 60,
        "last_at": NOW - ago,
        **changes,
    }
    return Refused(**values)


async def note(rig: ApiRig, *rows: Refused, spool: Spooled | None = None) -> None:
    await TenantStatusStore(rig.room.database).note(
        Tallies(tallies=[], refused=list(rows), spool=spool)
    )


async def listed(rig: ApiRig, query: str = "", *, key: str | None = None) -> list[dict[str, Any]]:
    answer = await (
        rig.call("GET", f"/api/v1/refusals{query}", key=key)
        if key
        else rig.call("GET", f"/api/v1/refusals{query}")
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["refusals"]
    return found


async def test_counts_of_processes_and_networks_add_up_by_reason(api_rig: ApiRig) -> None:
    mine = refused()
    await note(
        api_rig,
        mine,
        refused(worker="edge-2", network="198.51.100.0/24", deliveries=4, ago=5),
        refused(missing="x-hottok", reason="proof_missing", ago=90),
    )
    await note(api_rig, mine)
    first, second = await listed(api_rig, "?tenant=loja")
    assert (first["reason"], first["deliveries"], first["missing"], first["in_a_row"]) == (
        "proof_wrong",
        7,
        None,
        True,
    )
    assert first["networks"] == ["198.51.100.0/24", "203.0.113.0/24"]
    assert (second["reason"], second["missing"], second["deliveries"]) == (
        "proof_missing",
        "x-hottok",
        3,
    )
    assert first["first_at"] < first["last_at"]


async def test_a_delivery_that_is_taken_ends_the_row(api_rig: ApiRig) -> None:
    await note(api_rig, refused(ago=3600))
    assert [one["in_a_row"] for one in await listed(api_rig)] == [True]
    await api_rig.run("insert into sightings values ('loja', 'curso', 'hotmart', now())")
    assert [one["in_a_row"] for one in await listed(api_rig)] == [False]


async def test_a_tenants_key_sees_its_own_and_nothing_of_nobody(api_rig: ApiRig) -> None:
    await note(
        api_rig,
        refused(),
        refused(tenant="outra"),
        refused("", tenant="", gateway="", reason="unknown_url"),
    )
    key = await api_rig.key(tenant="loja", role="viewer")
    assert [one["tenant"] for one in await listed(api_rig, key=key)] == ["loja"]
    assert {one["tenant"] for one in await listed(api_rig)} == {"loja", "outra", None}
    assert (await api_rig.call("GET", "/api/v1/refusals?tenant=outra", key=key)).status_code == 404


async def test_filters_and_windows(api_rig: ApiRig) -> None:
    await note(
        api_rig,
        refused(),
        refused("kiwify", gateway="kiwify"),
        refused(ago=30 * 3600, reason="too_large"),
    )
    assert [one["integration"] for one in await listed(api_rig, "?gateway=kiwify")] == ["kiwify"]
    assert [one["reason"] for one in await listed(api_rig, "?integration=hotmart")] == [
        "proof_wrong"
    ]
    assert len(await listed(api_rig, "?hours=48")) == 3
    assert len(await listed(api_rig, "?limit=1")) == 1


async def test_refusals_and_spools_go_with_time(api_rig: ApiRig) -> None:
    spool = Spooled(worker="edge-1", records=2, bytes=300, oldest_at=NOW - 40)
    await note(api_rig, refused(ago=3 * 86_400), refused(), spool=spool)
    store = RefusalStore(api_rig.room.database)
    assert (await store.spooled()).records == 2
    await api_rig.run("update spools set told_at = now() - interval '2 minutes'")
    assert (await store.spooled()).records == 0, "of a process that tells no more"
    await api_rig.run("update spools set told_at = now() - interval '2 days'")
    gone = await purge(api_rig.room.database)
    assert (gone["refusals"], gone["spools"]) == (1, 1)


async def test_the_apis_role_may_not_read_what_is_of_all_tenants(api_rig: ApiRig) -> None:
    with pytest.raises(StoreRejected):
        async with api_rig.room.database.transaction(tenant="loja") as connection:
            await connection.execute("select * from spools")
