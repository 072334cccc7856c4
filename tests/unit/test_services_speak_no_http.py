"""Services raise the domain's errors.

The API answers each as a problem, with its fields and its time to wait.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
import yaml
from fastapi import FastAPI
from pydantic import SecretStr

from sinal_api import problems
from sinal_core.http.problem import Problem, retry
from sinal_core.postgres.errors import StoreUnavailable
from sinal_crds.plan import TenantPlan
from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import (
    Conflict,
    Exhausted,
    FieldFault,
    Forbidden,
    Invalid,
    NotConfigured,
    NotFound,
    ServiceError,
    Unavailable,
    Unprocessable,
    invalid,
)
from sinal_hub.services.funnels import FunnelService
from sinal_hub.services.keys import KeyCheck, digest
from sinal_hub.services.manifest_sink import FolderSink
from sinal_hub.services.quarantined import QuarantineService
from sinal_hub.services.replay_rules import Options
from sinal_hub.services.replays import KeyReused, Terms, Unfinished
from sinal_hub.services.reviews import NotInReview
from sinal_hub.services.suspensions import SuspensionService
from sinal_hub.store.api_keys import KeyOwner

PLATFORM = Caller(actor="admin_key", role="admin", tenant=None)
OF_LOJA = Caller(actor="key_1", role="admin", tenant="loja")
PLANS = SimpleNamespace(
    snapshot=SimpleNamespace(
        tenants={"loja": TenantPlan(slug="loja", namespace="loja", name="loja", uid="u1")}
    )
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid("no"), 400),
        (Forbidden("no"), 403),
        (NotFound("no"), 404),
        (Conflict("no"), 409),
        (Unprocessable("no"), 422),
        (NotConfigured("no"), 501),
        (Exhausted("no", retry_after_s=7), 429),
        (Unavailable("no", retry_after_s=10), 503),
        (KeyReused("no"), 409),
        (NotInReview("no"), 409),
        (Unfinished("no"), 503),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_each_error_is_a_problem_of_its_status(error: ServiceError, status: int) -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def failing() -> None:
        raise error

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        told = await client.get("/")
    assert (told.status_code, told.headers["content-type"]) == (status, "application/problem+json")
    assert (told.json()["detail"], "errors" in told.json()) == ("no", False)
    waits = {"Exhausted": "7", "Unavailable": "10", "Unfinished": "2"}.get(type(error).__name__)
    assert told.headers.get("retry-after") == waits


async def test_fields_at_fault_are_named_and_the_first_is_told() -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def failing() -> None:
        raise invalid(FieldFault("spec.type", "is unknown"), FieldFault("spec.name", "is missing"))

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        told = (await client.get("/")).json()
    assert told["detail"] == "spec.type: is unknown"
    assert told["errors"] == [
        {"field": "spec.type", "message": "is unknown"},
        {"field": "spec.name", "message": "is missing"},
    ]


def test_a_caller_reaches_one_tenant_without_any_door() -> None:
    assert PLATFORM.plan(PLANS, "loja").slug == OF_LOJA.plan(PLANS, None).slug == "loja"
    with pytest.raises(Invalid, match="tenant: is required"):
        PLATFORM.plan(PLANS, None)
    for caller, wanted in ((PLATFORM, "outra"), (OF_LOJA, "outra")):
        with pytest.raises(NotFound, match="no tenant 'outra'"):
            caller.plan(PLANS, wanted)


def kept_in(folder: Path) -> list[Any]:
    """Manifests of a folder."""
    return [yaml.safe_load(path.read_text()) for path in folder.rglob("*.yaml")]


class Audit:
    """Keeps what was written down."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def write(self, entry: Any) -> None:
        self.written.append(entry)


async def test_a_funnel_is_declared_by_a_function_and_kept_in_a_folder(tmp_path: Path) -> None:
    audit = Audit()
    service = FunnelService(PLANS, FolderSink(tmp_path), audit)  # type: ignore[arg-type]
    made = await service.declare(OF_LOJA, tenant=None, name="curso", spec={})
    assert (made.tenant, made.manifest["spec"]) == ("loja", {"tenantRef": "loja"})
    assert kept_in(tmp_path) == [made.manifest]
    assert [(one.action, one.target) for one in audit.written] == [("funnel.create", "curso")]
    with pytest.raises(Invalid, match=r"spec\.destinationRefs\[0\]: no Destination 'p'") as caught:
        await service.declare(OF_LOJA, tenant=None, name="x", spec={"destinationRefs": ["p"]})
    assert [fault.field for fault in caught.value.faults] == ["spec.destinationRefs[0]"]
    without = FunnelService(PLANS, None, audit)  # type: ignore[arg-type]
    with pytest.raises(NotConfigured, match="SINAL_MANIFEST_FOLDER"):
        await without.declare(OF_LOJA, tenant=None, name="outro", spec={})


async def test_a_tenant_is_suspended_by_the_platform_alone() -> None:
    service = SuspensionService(PLANS, None, Audit())  # type: ignore[arg-type]
    with pytest.raises(Forbidden, match="a key of the platform"):
        await service.change(OF_LOJA, tenant=None, kind="Tenant", name="loja", suspended=True)
    with pytest.raises(NotFound, match="no Funnel 'curso' of tenant 'loja'; there is none yet"):
        await service.change(PLATFORM, tenant="loja", kind="Funnel", name="curso", suspended=True)
    assert service.listed(PLATFORM, None).suspended == []


class Quarantine:
    """A quarantine whose publishing the edge refuses."""

    def __init__(self, refusal: Problem | None = None) -> None:
        self._refusal = refusal

    async def reparse(self, tenant: str | None, kept_id: str) -> None:
        if self._refusal is not None:
            raise self._refusal

    async def show(self, tenant: str | None, kept_id: str) -> None:
        """It has none."""


@pytest.mark.parametrize(
    ("refusal", "kind", "again_s"),
    [
        (retry(429, "no", 7), Exhausted, 7),
        (retry(503, "no", 9), Unavailable, 9),
        (Problem(503, "no"), Unavailable, 2),
        (Problem(413, "no"), Unprocessable, None),
    ],
)
async def test_a_refusal_of_the_edge_is_an_error_of_the_domain(
    refusal: Problem, kind: type[ServiceError], again_s: int | None
) -> None:
    audit = Audit()
    service = QuarantineService(Quarantine(refusal), audit)  # type: ignore[arg-type]
    with pytest.raises(kind, match="no") as caught:
        await service.reparse(OF_LOJA, "q1")
    assert type(caught.value) is kind
    assert getattr(caught.value, "retry_after_s", None) == again_s
    assert audit.written == []


async def test_what_quarantine_does_not_have_is_not_found() -> None:
    service = QuarantineService(Quarantine(), Audit())  # type: ignore[arg-type]
    for wanted in (service.show, service.reparse):
        with pytest.raises(NotFound, match="no such delivery"):
            await wanted(OF_LOJA, "q1")


class Store:
    """Keys of a store that may be away."""

    def __init__(self) -> None:
        self.owner: KeyOwner | None = KeyOwner(id="k1", tenant_id="loja", role="viewer", name="n")
        self.away = False

    async def owner_of(self, key_sha256: str) -> KeyOwner | None:
        if self.away:
            raise StoreUnavailable("away")
        return self.owner if key_sha256 == digest("sak_loja") else None


async def test_a_key_is_its_callers_until_the_store_says_otherwise() -> None:
    store = Store()
    check = KeyCheck(SecretStr("sak_admin"), store)
    caller = await check.caller("sak_loja")
    assert caller == Caller(actor="k1", role="viewer", tenant="loja")
    assert await check.caller("sak_nobody") is None
    store.away = True
    assert await check.caller("sak_admin") == PLATFORM
    assert await check.still("sak_loja", caller)
    with pytest.raises(StoreUnavailable):
        await check.caller("sak_loja")
    store.away, store.owner = False, None
    assert not await check.still("sak_loja", caller)
    assert await KeyCheck(None, store).caller("sak_admin") is None


def test_a_lesser_role_is_told_which_one_it_takes() -> None:
    viewer = Caller(actor="k1", role="viewer", tenant="loja")
    viewer.needs("viewer")
    PLATFORM.needs("operator")
    with pytest.raises(Forbidden, match="a key of role operator; yours is of role viewer"):
        viewer.needs("operator")


def test_a_replay_is_written_down_without_a_whole_hash() -> None:
    terms = Terms(asked={"email_sha256": "a" * 64, "limit": 3}, options=Options(), key="k")
    request = terms.request(OF_LOJA, "loja", "replay.one", event="ev_1")
    assert request.asked == {"email_sha256": "aaaaaaaa…", "limit": 3, "event": "ev_1"}
    other = msgspec.structs.replace(terms, dry_run=True, key=None)
    assert other.request(OF_LOJA, "loja", "replay.one", event="ev_1").sha256 == request.sha256
