"""Names that the operator and the runtime must agree on: streams, subjects, consumers, buckets.

They are durable: a change here strands queued events, so every name carries what it needs to stay
as it is.
"""

from __future__ import annotations

import hashlib
import re

GROUP = "sinal.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

PLANS_BUCKET = "sinal_plans"  # key: tenant slug, value: sealed plan
STATUS_BUCKET = "sinal_status"  # key: tenant slug, value: what the runtime saw
QUARANTINE_BYTES = 2**30  # of all tenants; each has a share that is far smaller
# key: tenant slug "." id, value: sealed delivery nobody understood
QUARANTINE_BUCKET = "sinal_quarantine"
# key: tenant slug "." digest of its UID, value: whose data are to be removed
DEPARTURES_BUCKET = "sinal_departures"
# a worker that misses a lane asks for it here; body: tenant slug or empty
PROVISION_SUBJECT = "sinal.provision"
TALLY_SUBJECT = "sinal.tally"  # the edge tells housekeeping what it could make no event of
# a dispatcher tells the others which destinations it sends nothing to for a while
STOPPED_SUBJECT = "sinal.stopped"
# a dispatcher tells the others that destinations take events again
RECOVERED_SUBJECT = "sinal.recovered"
FORGET_SUBJECT = "sinal.forget"  # an erasure, for every process that keeps events on its own disk

STREAM_PREFIX = "T-"
MATCH_CONSUMER = "match"
DISPATCH_PREFIX = "dispatch-"

OWNER = "sinal.dev/owner"  # in a stream's metadata: uid of the Tenant that it was made for
NAMESPACE = "sinal.dev/namespace"  # there, too: of that Tenant
# in the owner's place, before namespace/name: the Tenant is gone, its namesake may have it
RETAINED = "retained:"

# No dot, `*` or `>`: a slug is one token of subjects, and a wildcard there would be all tenants.
SLUG_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


# without vowels nothing that a list could name
_NO_WORD = str.maketrans("0123456789abcdef", "bcdfghjkmnpqrtvw")


def own_path(slug: str) -> str:
    """A tenant's own word for the paths of its pages: public lists of trackers name the documented
    ones.

    Eight letters are the tenant's, four more tell such a word from any other.
    """
    return _sealed(hashlib.sha256(f"path:{slug}".encode()).hexdigest()[:8].translate(_NO_WORD))


def is_own_path(word: str) -> bool:
    """Whether it is some tenant's."""
    return len(word) == 12 and word == _sealed(word[:8])


def _sealed(word: str) -> str:
    return word + hashlib.sha256(word.encode()).hexdigest()[:4].translate(_NO_WORD)


def stream(slug: str) -> str:
    """Name of a tenant's work-queue stream."""
    return f"{STREAM_PREFIX}{slug}"


def slug_of_stream(name: str) -> str:
    """Tenant slug of a stream's name; raises ValueError for a stream that is not a tenant's."""
    if not name.startswith(STREAM_PREFIX) or not re.match(SLUG_PATTERN, name[len(STREAM_PREFIX) :]):
        raise ValueError(f"{name!r} is not a tenant's stream")
    return name[len(STREAM_PREFIX) :]


def tenant_subjects(slug: str) -> str:
    """The wildcard of everything a tenant's stream takes in."""
    return f"t.{slug}.>"


def in_subject(slug: str, kind: str) -> str:
    """Where ingest publishes one event; `kind` is click, pageview, sale …"""
    return f"t.{slug}.in.{kind}"


def in_filter(slug: str) -> str:
    """What the match consumer reads."""
    return f"t.{slug}.in.>"


def out_subject(slug: str, destination: str) -> str:
    """Where matching publishes what a destination must send."""
    return f"t.{slug}.out.{destination}"


def dispatch_consumer(destination: str) -> str:
    """Durable consumer of one destination."""
    return f"{DISPATCH_PREFIX}{destination}"
