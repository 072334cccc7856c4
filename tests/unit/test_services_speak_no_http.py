"""Services raise the domain's errors.

The API answers each as a problem, with its fields and its time to wait.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI

from sinal_api import problems
from sinal_crds.plan import TenantPlan
from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import (
    Conflict,
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
from sinal_hub.services.manifest_sink import FolderSink
from sinal_hub.services.replays import KeyReused, Unfinished
from sinal_hub.services.reviews import NotInReview
from sinal_hub.services.suspensions import SuspensionService

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
    waits = {"Unavailable": "10", "Unfinished": "2"}.get(type(error).__name__)
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
