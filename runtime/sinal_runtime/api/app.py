"""The operations API: what became of every event, and what people may do about it (OpenAPI under /docs)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import FastAPI
from pydantic import SecretStr

from sinal_runtime.api import answers, dead_letters, events, health, keys, problems, replay, review
from sinal_runtime.api.access import Access
from sinal_runtime.api.ports import Bus, Check, Plans
from sinal_runtime.api.replaying import Replayed, Replayer
from sinal_runtime.api.reviewing import Reviewed, Reviewer
from sinal_runtime.store.database import Database
from sinal_runtime.store.matching import MatchStore
from sinal_runtime.store.operations import KeyRow, OperationsStore
from sinal_runtime.store.reading import EventDetail, EventReader, Ledger, Page
from sinal_runtime.store.replaying import ReplayStore
from sinal_runtime.store.reviewing import ReviewStore

SCHEMAS = (
    Page, EventDetail, Ledger, Replayed, Reviewed, KeyRow, keys.CreatedKey, keys.KeyPage, keys.AuditPage,
    dead_letters.Groups,
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """What the API stands on."""

    database: Database
    bus: Bus
    plans: Plans
    admin_key: SecretStr | None
    checks: Mapping[str, Check] = field(default_factory=dict)  # readiness of dependencies by name


def build(parts: Parts) -> FastAPI:
    """The ASGI application."""
    app = FastAPI(title="Sinal operations API", version="1", openapi_url="/openapi.json", redoc_url=None)
    reader, operations = EventReader(parts.database), OperationsStore(parts.database)
    replays = ReplayStore(parts.database)
    matching = MatchStore(parts.database)
    replayer = Replayer(replays, operations, matching, reader, parts.bus, parts.plans)
    reviewer = Reviewer(ReviewStore(parts.database), matching, reader, parts.bus, parts.plans)
    app.state.access = Access(parts.admin_key, operations)
    problems.install(app)
    for router in (
        events.routes(reader),
        replay.routes(replayer, reader),
        dead_letters.routes(replays, replayer),
        review.routes(reviewer, reader),
        keys.routes(operations),
    ):
        app.include_router(router)
    health.add(app, parts.checks)
    answers.document(app, *SCHEMAS)
    return app
