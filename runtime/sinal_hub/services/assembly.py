"""Every service over one database, one bus and the plans: what doors are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from sinal_core.postgres.database import Database
from sinal_crds.keyring import Keyring
from sinal_hub.gateways import registry
from sinal_hub.intake.publisher import EventPublisher
from sinal_hub.quarantine.queue import QuarantineBucket
from sinal_hub.quarantine.release import Quarantined
from sinal_hub.services.events import EventService
from sinal_hub.services.explaining import Explainer
from sinal_hub.services.figures import FigureService
from sinal_hub.services.funnels import FunnelService
from sinal_hub.services.inspection import Inspector
from sinal_hub.services.keys import KeyCheck, KeyService
from sinal_hub.services.manifest_sink import ManifestSink
from sinal_hub.services.owners import OwnerService
from sinal_hub.services.ports import Bus, Check, Plans, Tokens
from sinal_hub.services.privacy import PrivacyService
from sinal_hub.services.quarantined import QuarantineService
from sinal_hub.services.refusals import RefusalService
from sinal_hub.services.replays import Replayer
from sinal_hub.services.reviews import Reviewer
from sinal_hub.services.suspensions import SuspensionService
from sinal_hub.services.tail import Tail
from sinal_hub.status.ports import Bus as Streams
from sinal_hub.store.api_keys import KeyStore
from sinal_hub.store.audit import AuditStore
from sinal_hub.store.evidence import EvidenceStore
from sinal_hub.store.idempotency import IdempotencyStore
from sinal_hub.store.matching import MatchStore
from sinal_hub.store.owners import OwnerStore
from sinal_hub.store.reading import EventReader
from sinal_hub.store.refusals import RefusalStore
from sinal_hub.store.replaying import ReplayStore
from sinal_hub.store.reviewing import ReviewStore
from sinal_hub.store.schema import SchemaStore
from sinal_hub.store.tailing import TailStore
from sinal_hub.store.tenant_stats import TenantStatsStore
from sinal_hub.store.tenant_status import TenantStatusStore


@dataclass(frozen=True)
class Services:
    """The use-cases; `quarantine` is None without the keys that open it."""

    access: KeyCheck
    events: EventService
    tail: Tail
    replays: Replayer
    reviews: Reviewer
    figures: FigureService
    funnels: FunnelService
    suspensions: SuspensionService
    keys: KeyService
    owners: OwnerService
    inspector: Inspector
    refusals: RefusalService
    privacy: PrivacyService
    quarantine: QuarantineService | None


def assemble(
    database: Database,
    bus: Bus,
    plans: Plans,
    *,
    admin_key: SecretStr | None = None,
    checks: Mapping[str, Check],
    sink: ManifestSink | None = None,
    tokens: Tokens | None = None,
    streams: Streams | None = None,
    keyring: Keyring | None = None,
) -> Services:
    """The services of a process."""
    keys, audit, matching = KeyStore(database), AuditStore(database), MatchStore(database)
    reader, statuses = EventReader(database), TenantStatusStore(database)
    refused = RefusalStore(database)
    return Services(
        access=KeyCheck(admin_key, keys),
        events=EventService(reader, Explainer(EvidenceStore(database), statuses, plans)),
        tail=Tail(TailStore(database), reader),
        replays=Replayer(
            ReplayStore(database), IdempotencyStore(database), matching, reader, bus, plans
        ),
        reviews=Reviewer(ReviewStore(database), matching, reader, bus, plans),
        figures=FigureService(TenantStatsStore(database), bus, plans),
        funnels=FunnelService(plans, sink, audit),
        suspensions=SuspensionService(plans, sink, audit),
        keys=KeyService(keys, audit),
        owners=OwnerService(OwnerStore(database), plans),
        inspector=Inspector(
            checks, keys, SchemaStore(database), statuses, refused, bus, plans, tokens
        ),
        refusals=RefusalService(refused),
        privacy=PrivacyService(database, streams, plans, keyring),
        quarantine=None if keyring is None else _quarantine(bus, plans, keyring, audit),
    )


def _quarantine(bus: Bus, plans: Plans, keyring: Keyring, audit: AuditStore) -> QuarantineService:
    kept = Quarantined(
        bucket=QuarantineBucket(bus),
        keyring=keyring,
        plans=plans,
        gateways=registry(),
        out=EventPublisher(bus=bus),
    )
    return QuarantineService(kept, audit)
