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
from sinal_api.tail import Tail
from sinal_api.traced import Traced
from sinal_core.http import health
from sinal_core.http.bounded import Bounded
from sinal_core.http.drain import Leaving
from sinal_core.postgres.database import Database
from sinal_core.telemetry.tracing import Tracer
from sinal_crds.keyring import Keyring
from sinal_hub.gateways import registry
from sinal_hub.intake.publisher import EventPublisher
from sinal_hub.model.event_versions import NEWEST
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.quarantine.release import Quarantined
from sinal_hub.services.explaining import Explainer
from sinal_hub.services.funnels import CreatedFunnel, Funnels, FunnelService
from sinal_hub.services.inspection import Inspector, Status
from sinal_hub.services.keys import CreatedKey
from sinal_hub.services.manifest_sink import ManifestSink
from sinal_hub.services.ports import Bus, Check, Plans, Tokens
from sinal_hub.services.privacy import PrivacyService
from sinal_hub.services.replays import Replayed, Replayer
from sinal_hub.services.reviews import Reviewed, Reviewer
from sinal_hub.services.suspensions import Changed, SuspendedPage, SuspensionService
from sinal_hub.status.ports import Bus as Streams
from sinal_hub.store.evidence import EvidenceStore
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.operations import KeyRow, OperationsStore
from sinal_hub.store.owners import HandedOver, OwnerStore
from sinal_hub.store.reading import EventDetail, EventReader, Ledger, Page
from sinal_hub.store.refusals import RefusalStore
from sinal_hub.store.replaying import ReplayStore
from sinal_hub.store.reviewing import ReviewStore
from sinal_hub.store.tailing import TailStore
from sinal_hub.store.tenant_stats import FigureStore
from sinal_hub.store.tenant_status import FactStore

SCHEMAS = (
    Page, EventDetail, Ledger, Replayed, Reviewed, KeyRow, CreatedKey, keys.KeyPage, keys.AuditPage, HandedOver,
    dead_letters.Groups, Funnels, CreatedFunnel, tenants.Summary, tenants.Coverage, tenants.Pairing,
    SuspendedPage, Changed, Status, refusals.Refusals,
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
    app.add_middleware(Strict)
    leaving = app.state.leaving = Leaving()
    operations = OperationsStore(parts.database)
    app.state.access = Access(parts.admin_key, operations)
    problems.install(app)
    for router in (*_events(parts, operations, leaving), *_platform(parts, operations)):
        app.include_router(router)
    app.add_api_route("/healthz", health.alive, include_in_schema=False)
    page.add(app)
    answers.document(app, *SCHEMAS)
    return app


def _events(parts: Parts, operations: OperationsStore, leaving: Leaving) -> list[APIRouter]:
    """What became of events, and what people do about it; the stream comes before events by id."""
    reader, matching, replays = (
        EventReader(parts.database),
        MatchStore(parts.database),
        ReplayStore(parts.database),
    )
    replayer = Replayer(replays, operations, matching, reader, parts.bus, parts.plans)
    explainer = Explainer(EvidenceStore(parts.database), FactStore(parts.database), parts.plans)
    reviewer = Reviewer(ReviewStore(parts.database), matching, reader, parts.bus, parts.plans)
    return [
        stream.routes(Tail(TailStore(parts.database), reader), leaving),
        events.routes(reader, explainer),
        replay.routes(replayer, reader),
        dead_letters.routes(replays, replayer),
        review.routes(reviewer, reader),
    ]


def _platform(parts: Parts, operations: OperationsStore) -> list[APIRouter]:
    """Tenants, funnels, keys and the state of the platform."""
    refused = RefusalStore(parts.database)
    inspector = Inspector(
        parts.checks,
        operations,
        FactStore(parts.database),
        refused,
        parts.bus,
        parts.plans,
        parts.tokens,
    )
    kept = (
        []
        if parts.keyring is None
        else [quarantine.routes(_quarantined(parts, parts.keyring), operations)]
    )
    return [
        tenants.routes(FigureStore(parts.database), parts.bus, parts.plans),
        funnels.routes(FunnelService(parts.plans, parts.sink, operations)),
        suspensions.routes(SuspensionService(parts.plans, parts.sink, operations)),
        keys.routes(operations),
        owners.routes(OwnerStore(parts.database), parts.plans),
        status.routes(inspector),
        refusals.routes(refused),
        privacy.routes(PrivacyService(parts.database, parts.streams, parts.plans, parts.keyring)),
        *kept,
    ]


def _quarantined(parts: Parts, keyring: Keyring) -> Quarantined:
    bucket = QuarantineBucket(parts.bus)
    out = EventPublisher(bus=parts.bus, event_version=parts.event_version)
    return Quarantined(
        bucket=bucket, keyring=keyring, plans=parts.plans, gateways=registry(), out=out
    )
