"""Differences between what is wanted and what the server says it has. Pure.

Only what we ask for is compared, with what the server returned for it: the server's defaults and
additions are no drift, and an unchanged configuration is never sent again (an update may cost
delayed messages in a cluster: nats-server issue 5526).
"""

from __future__ import annotations

from sinal_operator.provision.desired import Config

STREAM_FIXED = frozenset({"retention", "storage"})  # error 10052 on update
CONSUMER_FIXED = frozenset(
    {"deliver_policy", "ack_policy", "replay_policy", "max_waiting", "mem_storage"}
)
_SERVERS_OWN = "_nats."


def changed(wanted: Config, actual: Config) -> tuple[str, ...]:
    """Names of the fields that differ."""
    return tuple(
        name
        for name, value in wanted.items()
        if not _same(value, actual.get(name), mapping=name == "metadata")
    )


def _same(wanted: object, actual: object, *, mapping: bool) -> bool:
    # Others may note what they like in a stream's metadata, as the server itself does.
    if mapping and isinstance(wanted, dict):
        known = actual if isinstance(actual, dict) else {}
        return all(known.get(key) == value for key, value in wanted.items())
    if actual is None:  # the server leaves zero values out
        return wanted in (0, False, "", [])
    return wanted == actual


def merged(wanted: Config, actual: Config) -> Config:
    """What to send as an update: ours over theirs, so that what we don't care about stays as
    someone set it.
    """
    theirs = {
        k: v for k, v in (actual.get("metadata") or {}).items() if not k.startswith(_SERVERS_OWN)
    }
    result = actual | wanted
    if theirs or wanted.get("metadata"):
        result["metadata"] = theirs | wanted.get("metadata", {})
    return result
