"""What the adapter needs of the API server, and the things it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

GROUP = "external.metrics.k8s.io"
VERSION = "v1beta1"
API_SERVICE = f"{VERSION}.{GROUP}"


@dataclass(frozen=True)
class FrontProxy:
    """How the API server shows that it is it, and for whom it asks."""

    authorities: bytes  # PEM, of its client certificate
    allowed_names: tuple[str, ...]  # its certificate's common name; empty: any
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]
    uid_headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """What decisions about this user are remembered by."""
        return (self.name, self.groups, self.uid, tuple(sorted(self.extra.items())))


@dataclass(frozen=True)
class Wish:
    """What is asked for: a metric of a namespace, or another path of the API."""

    path: str
    namespace: str = ""
    metric: str = ""


@dataclass(frozen=True)
class StoredSecret:
    """A Secret's data, and the version that it has."""

    data: Mapping[str, bytes]
    version: str
    ours: bool


@dataclass(frozen=True)
class Registration:
    """The APIService of external metrics: whose it is, and whom the API server trusts to serve
    it.
    """

    namespace: str
    service: str
    bundle: bytes  # PEM
    version: str


class Keeping(Protocol):
    """Where certificate and registration are kept; every call raises ClusterUnavailable."""

    async def front_proxy(self) -> FrontProxy:
        """How to know the API server."""
        ...

    async def secret(self) -> StoredSecret | None:
        """The Secret with our certificate."""
        ...

    async def create_secret(self, data: Mapping[str, bytes]) -> bool:
        """Make it; False when somebody has just done so."""
        ...

    async def replace_secret(self, data: Mapping[str, bytes], *, version: str) -> bool:
        """Write that version anew; False when it has changed since."""
        ...

    async def registration(self) -> Registration | None:
        """The APIService."""
        ...

    async def trust(self, bundle: bytes, *, version: str) -> bool:
        """Tell the API server whom to trust in that version of the APIService.

        False when it has changed since.
        """
        ...


class Reviews(Protocol):
    """Whom the API server knows and what it lets them do; every call raises ClusterUnavailable."""

    async def review_token(self, token: str) -> User | None:
        """Whose token it is."""
        ...

    async def review_access(self, user: User, wish: Wish) -> tuple[bool, str]:
        """Whether they may, and what is said about it."""
        ...
