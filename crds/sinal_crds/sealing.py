"""Plans as they lie in the KV bucket: readable, but for their secrets, and bound against change.

The envelope is JSON: the plan without its secrets in clear, the secrets under AES-256-GCM. What is
in clear is part of the authenticated data: nobody who can write to the bucket can point a tenant's
access token to another pixel, or put one tenant's plan in the place of another's. What the edge
needs, the secrets that prove deliveries, is sealed a second time under the key that the edge has;
access tokens are not in it, nor are a release's that knows no edge. Invariant: `unseal(seal(plan))
== plan`, and no secret of a plan is in the clear part.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

import msgspec

from sinal_crds import envelope as envelopes
from sinal_crds.credentials import optional_keys
from sinal_crds.envelope import Envelope
from sinal_crds.keyring import InvalidKeyring, Keyring, UnknownKey, is_of_edge
from sinal_crds.plan import PLAN_VERSION, TenantPlan

__all__ = [
    "InvalidKeyring",
    "Keyring",
    "NotForTheEdge",
    "PlanHolder",
    "TamperedPlan",
    "UnknownKey",
    "UnsupportedPlanVersion",
    "holder",
    "needs_sealing",
    "plan_hash",
    "resealed",
    "seal",
    "sealed_hash",
    "sealed_key_id",
    "unseal",
]

_FOR_EDGE = "sinal plan for the edge"
_canonical = msgspec.json.Encoder(order="sorted").encode


class TamperedPlan(ValueError):
    """A sealed plan that is not an envelope, or was changed after sealing."""


class NotForTheEdge(UnknownKey):
    """A plan that was sealed by a release before the edge had a key of its own.

    The operator seals it again.
    """


class UnsupportedPlanVersion(ValueError):
    """A plan of a version this release does not know; keep the plan in use and upgrade."""


class _Sealed(msgspec.Struct, frozen=True):
    kid: str
    nonce: str
    ciphertext: str


class _Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    version: int
    slug: str
    hash: str
    plan: msgspec.Raw
    sealed: _Sealed  # all secrets: for who has the sealing keys
    # those that prove deliveries; a release that does not know it goes by `sealed`
    edge: _Sealed | None = None


class PlanHolder(msgspec.Struct, frozen=True):
    """Whose plan it is, and what nobody else can have meanwhile."""

    slug: str
    uid: str
    namespace: str = ""
    name: str = ""
    hosts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class _Head(msgspec.Struct, frozen=True):
    """What is read before the version is known to be ours."""

    version: int


class _Hidden(msgspec.Struct, frozen=True):
    """A plan's secrets by name of destination and integration."""

    access_tokens: dict[str, str] = {}
    credentials: dict[str, dict[str, str]] = {}


def plan_hash(plan: TenantPlan, keyring: Keyring) -> str:
    """Hex that changes with anything in the plan, secrets included, and tells nothing about
    them.
    """
    clear, hidden = _split(plan)
    return hashlib.sha256(
        _canonical(clear) + keyring.digest("plan-secrets", _canonical(hidden))
    ).hexdigest()


def seal(plan: TenantPlan, keyring: Keyring) -> bytes:
    """The envelope for the KV bucket, under the keyring's primary key and the edge's."""
    clear, hidden = _split(plan)
    raw, digest = _canonical(clear), plan_hash(plan, keyring)
    envelope = _Envelope(
        version=plan.version,
        slug=plan.slug,
        hash=digest,
        # As bytes: who opens it checks what was written, not what it understands of that.
        plan=msgspec.Raw(raw),
        sealed=_lock(
            hidden,
            keyring,
            keyring.primary,
            _bound("sinal plan", plan.version, plan.slug, digest, raw),
        ),
        edge=_lock(
            _of_edge(plan),
            keyring,
            keyring.edge_primary,
            _bound(_FOR_EDGE, plan.version, plan.slug, digest, raw),
        ),
    )
    return msgspec.json.encode(envelope)


def unseal(raw: bytes, keyring: Keyring) -> TenantPlan:
    """The whole plan, or what the edge may know of it.

    Raises UnsupportedPlanVersion, UnknownKey or TamperedPlan.

    With the edge's part of a keyring no access tokens come out; NotForTheEdge says that the plan is
    an older release's.
    """
    envelope = _open(raw)
    is_edge = keyring.part == "edge"
    sealed = envelope.edge if is_edge else envelope.sealed
    if sealed is None:
        raise NotForTheEdge(
            "it was sealed by a release that knows no edge; the operator seals it "
            "again when upgraded"
        )
    # who has the other keys can derive the edge's, and must not believe it
    if is_of_edge(sealed.kid) is not is_edge:
        raise TamperedPlan(f"plan of {envelope.slug!r} names a key that is not for this envelope")
    purpose = _FOR_EDGE if is_edge else "sinal plan"
    bound = _bound(purpose, envelope.version, envelope.slug, envelope.hash, bytes(envelope.plan))
    try:
        locked = Envelope(sealed.kid, _bytes(sealed.nonce), _bytes(sealed.ciphertext))
        hidden = msgspec.json.decode(
            envelopes.unseal(locked, keyring=keyring, bound=bound), type=_Hidden
        )
        plan = msgspec.json.decode(envelope.plan, type=TenantPlan)
    except (ValueError, msgspec.MsgspecError) as error:
        raise TamperedPlan(
            f"plan of {envelope.slug!r} was changed after sealing ({type(error).__name__})"
        ) from None
    return _join(plan, hidden)


def resealed(raw: bytes, keyring: Keyring) -> bytes | None:
    """The same plan as this release and this keyring seal it.

    None where it is so already, or can't be opened.
    """
    try:
        envelope = _open(raw)
        return None if _is_current(envelope, keyring) else seal(unseal(raw, keyring), keyring)
    except (TamperedPlan, UnknownKey, UnsupportedPlanVersion):
        return None


def sealed_hash(raw: bytes) -> str:
    """`plan_hash` of a sealed plan, read without any key.

    Raises TamperedPlan or UnsupportedPlanVersion.
    """
    return _open(raw).hash


def sealed_key_id(raw: bytes) -> str:
    """Id of the key a plan is sealed under; raises as `sealed_hash`."""
    return _open(raw).sealed.kid


def holder(raw: bytes) -> PlanHolder | None:
    """Whose plan that is, read without any key; None where this release can't read it."""
    try:
        return msgspec.json.decode(_open(raw).plan, type=PlanHolder)
    except (TamperedPlan, UnsupportedPlanVersion, msgspec.MsgspecError):
        return None


def needs_sealing(current: bytes | None, plan: TenantPlan, keyring: Keyring) -> bool:
    """Whether the bucket's envelope is missing, unreadable, of another plan or under a key that is
    primary no more.
    """
    if current is None:
        return True
    try:
        envelope = _open(current)
    except (TamperedPlan, UnsupportedPlanVersion):
        return True
    return envelope.hash != plan_hash(plan, keyring) or not _is_current(envelope, keyring)


def _is_current(envelope: _Envelope, keyring: Keyring) -> bool:
    """Whether it is sealed under the keys that are primary, for the edge too."""
    edge = envelope.edge
    return (
        envelope.sealed.kid == keyring.primary
        and edge is not None
        and edge.kid == keyring.edge_primary
    )


def _lock(hidden: _Hidden, keyring: Keyring, kid: str, bound: bytes) -> _Sealed:
    locked = envelopes.seal(_canonical(hidden), keyring=keyring, key_id=kid, bound=bound)
    return _Sealed(
        kid=kid,
        nonce=b64encode(locked.nonce).decode(),
        ciphertext=b64encode(locked.ciphertext).decode(),
    )


def _open(raw: bytes) -> _Envelope:
    try:
        version = msgspec.json.decode(raw, type=_Head).version
        if version != PLAN_VERSION:
            raise UnsupportedPlanVersion(
                f"plan has version {version}, this release reads {PLAN_VERSION}"
            )
        return msgspec.json.decode(raw, type=_Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TamperedPlan(f"not a sealed plan: {error}") from None


def _bytes(text: str) -> bytes:
    """Base64 in its one canonical spelling."""
    data = b64decode(text, validate=True)
    # b64decode overlooks bits behind the last byte, so that two texts could be one envelope.
    if b64encode(data).decode() != text:
        raise ValueError("base64 with stray bits")
    return data


def _bound(purpose: str, version: int, slug: str, digest: str, clear: bytes) -> bytes:
    return _canonical([purpose, version, slug, digest, hashlib.sha256(clear).hexdigest()])


def _of_edge(plan: TenantPlan) -> _Hidden:
    """What proves deliveries: all credentials but those that only calls to a gateway's API need."""
    return _Hidden(
        credentials={
            one.name: kept
            for one in plan.integrations
            if (
                kept := {
                    k: v for k, v in one.credentials.items() if k not in optional_keys(one.gateway)
                }
            )
        }
    )


def _split(plan: TenantPlan) -> tuple[TenantPlan, _Hidden]:
    hidden = _Hidden(
        access_tokens={d.name: d.access_token for d in plan.destinations if d.access_token},
        credentials={i.name: i.credentials for i in plan.integrations if i.credentials},
    )
    return _join(plan, _Hidden()), hidden


def _join(plan: TenantPlan, hidden: _Hidden) -> TenantPlan:
    """The plan with exactly these secrets."""
    replace = msgspec.structs.replace
    return replace(
        plan,
        destinations=tuple(
            replace(d, access_token=hidden.access_tokens.get(d.name, "")) for d in plan.destinations
        ),
        integrations=tuple(
            replace(i, credentials=hidden.credentials.get(i.name, {})) for i in plan.integrations
        ),
    )
