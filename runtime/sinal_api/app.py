"""The operations API: what became of every event, and what people may do about it (OpenAPI under
/docs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI
from pydantic import SecretStr

from sinal_api import (
    answers,
    dead_letters,
    events,
    funnels,
    keys,
    owners,
    page,
    privacy,
    problems,
    quarantine,
    refusals,
    replay,
    review,
    status,
    stream,
    suspensions,
    tenants,
)
from sinal_api.access import Access
from sinal_api.browsers import Strict
from sinal_api.traced import Traced
from sinal_core.http import health
from sinal_core.http.bounded import Bounded
from sinal_core.http.drain import Drain
from sinal_core.postgres.database import Database
from sinal_core.telemetry.tracing import Tracer
from sinal_crds.keyring import Keyring
from sinal_hub.model.event_versions import NEWEST
from sinal_hub.services.assembly import Services, assemble
from sinal_hub.services.funnels import CreatedFunnel, Funnels
from sinal_hub.services.inspection import Status
from sinal_hub.services.keys import AuditPage, CreatedKey, KeyPage
from sinal_hub.services.manifest_sink import ManifestSink
from sinal_hub.services.ports import Bus, Check, Plans, Tokens
from sinal_hub.services.refusals import Refusals
from sinal_hub.services.replays import Groups, Replayed
from sinal_hub.services.reviews import Reviewed
from sinal_hub.services.shapes import EventDetail, HandedOver, KeyRow, Ledger, Page
from sinal_hub.services.suspensions import Changed, SuspendedPage
from sinal_hub.status.ports import Bus as Streams

SCHEMAS = (
    Page, EventDetail, Ledger, Replayed, Reviewed, KeyRow, CreatedKey, KeyPage, AuditPage, HandedOver,
    Groups, Funnels, CreatedFunnel, *tenants.SCHEMAS,
    SuspendedPage, Changed, Status, Refusals,
    *privacy.SCHEMAS, *quarantine.SCHEMAS,
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """What the API stands on."""

    database: Database
    bus: Bus
    plans: Plans
    admin_key: SecretStr | None
    checks: Mapping[str, Check] = field(default_factory=dict)  # readiness of dependencies by name
    sink: ManifestSink | None = None  # where manifests go that are made here
    tokens: Tokens | None = None  # who asks Meta about access tokens
    streams: Streams | None = None  # to look into queues and quarantine, with the keys that open it
    keyring: Keyring | None = None
    tracer: Tracer | None = None
    event_version: int = NEWEST  # in which deliveries that leave quarantine are written


def build(parts: Parts) -> FastAPI:
    """The ASGI application."""
    app = FastAPI(
        title="Sinal operations API",
        version="1",
        openapi_url="/openapi.json",
        docs_url=None,  # `page` has one that asks nobody else for its scripts
        redoc_url=None,
        # a replay of one event whose id is empty must not become one of all
        redirect_slashes=False,
    )
    app.add_middleware(Bounded, refusal=problems.refusal)
    if parts.tracer is not None:
        app.add_middleware(Traced, tracer=parts.tracer)
    # The last one added is the outermost: it marks what the others refuse, too.
    app.add_middleware(Strict)
    leaving = app.state.leaving = Drain()
    services = assemble(
        parts.database,
        parts.bus,
        parts.plans,
        admin_key=parts.admin_key,
        checks=parts.checks,
        sink=parts.sink,
        tokens=parts.tokens,
        streams=parts.streams,
        keyring=parts.keyring,
    )
    app.state.access = Access(services.access)
    problems.install(app)
    for router in (*_events(services, leaving), *_platform(services)):
        app.include_router(router)
    app.add_api_route("/healthz", health.alive, include_in_schema=False)
    page.add(app)
    answers.document(app, *SCHEMAS)
    return app


def _events(services: Services, leaving: Drain) -> list[APIRouter]:
    """What became of events, and what people do about it; the stream comes before events by id."""
    return [
        stream.routes(services.tail, leaving),
        events.routes(services.events),
        replay.routes(services.replays),
        dead_letters.routes(services.replays),
        review.routes(services.reviews),
    ]


def _platform(services: Services) -> list[APIRouter]:
    """Tenants, funnels, keys and the state of the platform."""
    kept = services.quarantine
    return [
        tenants.routes(services.figures),
        funnels.routes(services.funnels),
        suspensions.routes(services.suspensions),
        keys.routes(services.keys),
        owners.routes(services.owners),
        status.routes(services.inspector),
        refusals.routes(services.refusals),
        privacy.routes(services.privacy),
        *([] if kept is None else [quarantine.routes(kept)]),
    ]
