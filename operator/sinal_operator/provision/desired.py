"""What a plan wants of JetStream, as configurations to compare and to send. Pure.

Consumers keep their state in memory: at a thousand tenants that is 2.7 times the rate of state on
file. A work queue loses nothing by it, because an acked message is gone from the stream: a consumer
that is made again delivers the rest.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from sinal_crds import names
from sinal_crds.plan import TenantPlan

Config = dict[str, Any]

OWNER = names.OWNER
NAMESPACE = names.NAMESPACE
HASH = "sinal.dev/hash"

SECOND = 10**9  # JetStream counts time in nanoseconds
DUPLICATE_WINDOW_S = 120
ACK_WAIT_S = 60  # longer than the lease of a delivery and any request to Meta
MAX_ACK_PENDING = 10_000
# The server's default, named because it can't be changed in place, so that drift would be seen.
MAX_WAITING = 512
MAX_CONSUMERS = 1_000  # explicit: from 2.15 on a server's default caps an unset limit

_canonical = msgspec.json.Encoder(order="sorted").encode


def stream(plan: TenantPlan, *, replicas: int) -> Config:
    """Configuration of a tenant's work-queue stream."""
    config: Config = {
        "name": names.stream(plan.slug),
        "subjects": [names.tenant_subjects(plan.slug)],
        "retention": "workqueue",
        "storage": "file",
        # A full queue refuses the sender, who comes again. Dropping the oldest would lose what was
        # accepted.
        "discard": "new",
        "max_bytes": plan.limits.max_bytes,
        "max_age": plan.limits.max_age_s * SECOND,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_consumers": MAX_CONSUMERS,
        # JetStream refuses a window that is longer than messages live.
        "duplicate_window": min(DUPLICATE_WINDOW_S, plan.limits.max_age_s) * SECOND,
        "num_replicas": replicas,
    }
    digest = hashlib.sha256(_canonical(config)).hexdigest()[:16]
    config["metadata"] = {OWNER: plan.uid, NAMESPACE: plan.namespace, HASH: digest}
    return config


def retained(namespace: str, name: str) -> str:
    """Owner of a queue whose tenant was deleted and which waits for one of the same namespace and
    name.
    """
    return f"{names.RETAINED}{namespace}/{name}"


def legacies(plan: TenantPlan) -> tuple[str, ...]:
    """Owners of queues that are waiting for this tenant: of its own name, or of the one that it
    takes the place of.
    """
    return tuple(retained(plan.namespace, name) for name in (plan.name, plan.heir_of) if name)


def consumers(plan: TenantPlan, *, ack_wait_s: float = ACK_WAIT_S) -> dict[str, Config]:
    """Configurations of a tenant's consumers by name: `match`, and one a destination."""
    found = {
        names.MATCH_CONSUMER: _consumer(
            names.MATCH_CONSUMER, names.in_filter(plan.slug), ack_wait_s
        )
    }
    for destination in plan.destinations:
        name = names.dispatch_consumer(destination.name)
        found[name] = _consumer(name, names.out_subject(plan.slug, destination.name), ack_wait_s)
    return found


def _consumer(name: str, filter_subject: str, ack_wait_s: float) -> Config:
    return {
        "name": name,
        "durable_name": name,
        "filter_subject": filter_subject,
        "deliver_policy": "all",
        "replay_policy": "instant",
        # a work queue takes no other policy (error 10084)
        "ack_policy": "explicit",
        "ack_wait": round(ack_wait_s * SECOND),
        # After a last delivery a work queue keeps the message, and neither pending count shows it.
        # So the workers decide when to give up, not the broker.
        "max_deliver": -1,
        "max_ack_pending": MAX_ACK_PENDING,
        "max_waiting": MAX_WAITING,
        "mem_storage": True,
    }


# KV buckets and how long a value stays; 0: for ever
BUCKETS = {
    names.PLANS_BUCKET: 0,
    names.STATUS_BUCKET: 0,
    names.DEPARTURES_BUCKET: 0,
    names.QUARANTINE_BUCKET: 30 * 86_400,
}


# others hold what the platform itself writes
MAX_BYTES = {names.QUARANTINE_BUCKET: names.QUARANTINE_BYTES}


def bucket(name: str, *, replicas: int) -> Config:
    """Configuration of the stream behind a KV bucket with one value a key (ADR-8)."""
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_msgs": -1,
        "max_bytes": MAX_BYTES.get(name, -1),
        "max_msg_size": -1,
        "max_age": BUCKETS[name] * SECOND,
        "max_consumers": 10_000,  # every watching process has one
        "duplicate_window": DUPLICATE_WINDOW_S * SECOND,
        # else who writes one value can take all others away
        "allow_rollup_hdrs": name not in MAX_BYTES,
        "deny_delete": True,
        "allow_direct": True,
        "num_replicas": replicas,
    }
