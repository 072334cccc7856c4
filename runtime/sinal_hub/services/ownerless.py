"""What nobody owns: a plan without its Tenant, a queue without a plan, a key that is good for
nothing.

None of it is a fault of the moment, and all of it is somebody's decision: so each is told to the
platform's administrator with its way out, and nothing is done about it here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sinal_core.nats import status_bucket
from sinal_core.nats.errors import BusError
from sinal_core.nats.jetstream import JetStream, StreamInfo
from sinal_core.postgres.errors import StoreError
from sinal_crds.names import OWNER, PLANS_BUCKET, RETAINED, slug_of_stream
from sinal_crds.tenant_status import ORPHANS_KEY, Orphan, UnknownStatusVersion, decode_orphans
from sinal_hub.services.findings import Finding
from sinal_hub.services.ports import Bus
from sinal_hub.store.api_keys import KeyRow, KeyStore

NAMED = 20  # of each kind


async def plans(bus: Bus) -> list[Finding]:
    """Plans in force whose Tenant the operator does not find."""
    try:
        entry = await status_bucket.read(bus.api, ORPHANS_KEY)
        found = decode_orphans(entry) if entry else []
    except (BusError, UnknownStatusVersion):
        return []
    return [_plan(one) for one in found[:NAMED]]


async def queues(bus: Bus, tenants: Collection[str]) -> list[Finding]:
    """Queues of no tenant that has a plan, where something waits in them."""
    try:
        found = (await JetStream(bus.api).streams()).values()
    except BusError:
        return []
    waiting = ((_slug(one), one) for one in found if one.state.messages)
    return [_queue(slug, one) for slug, one in waiting if slug is not None and slug not in tenants][
        :NAMED
    ]


async def keys(store: KeyStore) -> list[Finding]:
    """Keys whose tenant is not there any more, or is another one."""
    try:
        found: Sequence[KeyRow] = await store.ownerless_keys(limit=NAMED)
    except StoreError:
        return []
    return [_key(one) for one in found]


def _plan(orphan: Orphan) -> Finding:
    home = f"{orphan.namespace}/{orphan.name}"
    return Finding(
        area="plans",
        subject=orphan.slug,
        grade="warning",
        detail=f"its plan is in force, and its Tenant {home} is not there: sales go on being taken "
        "and sent",
        advice="create the Tenant again and delete it, or remove the plan: nats kv del "
        f"{PLANS_BUCKET} {orphan.slug}",
    )


def _slug(stream: StreamInfo) -> str | None:
    try:
        return slug_of_stream(stream.name)
    except ValueError:
        return None


def _queue(slug: str, stream: StreamInfo) -> Finding:
    owner, waiting = (
        stream.metadata.get(OWNER, ""),
        f"{stream.state.messages} messages wait in it",
    )
    if owner.startswith(RETAINED):
        home = owner.removeprefix(RETAINED)
        detail = f"its queue is retained for the Tenant {home}, which is not there: {waiting}"
        advice = (
            f"create the Tenant again, or take its place with the annotation sinal.dev/heir-of; or remove the \
queue: nats stream rm {stream.name}"
        )
    else:
        detail = f"it has a queue and no plan: {waiting}"
        advice = (
            f"start the operator, which makes the plan of a Tenant that is declared; of one that is not, remove \
the queue: nats stream rm {stream.name}"
        )
    return Finding(area="lanes", subject=slug, grade="warning", detail=detail, advice=advice)


def _key(key: KeyRow) -> Finding:
    return Finding(
        area="keys",
        subject=f"{key.tenant}: {key.name}",
        grade="warning",
        detail="the tenant that this key was made for is not there any more, and it opens nothing",
        advice=f"revoke it: sinal keys revoke {key.id}",
    )
