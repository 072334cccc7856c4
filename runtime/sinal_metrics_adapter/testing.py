"""An API server in memory, as far as the adapter's keeper needs one: versions count, and a stale
write is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sinal_metrics_adapter.ports import FrontProxy, Registration, StoredSecret

FRONT = FrontProxy(
    b"CA", ("front-proxy",), ("X-Remote-User",), ("X-Remote-Group",), ("X-Remote-Extra-",)
)


@dataclass
class MemoryCluster:
    """`Keeping`, shared by all replicas of a test."""

    front: FrontProxy = FRONT
    stored: StoredSecret | None = None
    registered: Registration | None = field(
        default_factory=lambda: Registration("sinal", "sinal-metrics-adapter", b"", "1")
    )
    writes: list[str] = field(default_factory=list)

    async def front_proxy(self) -> FrontProxy:
        """How to know the API server."""
        return self.front

    async def secret(self) -> StoredSecret | None:
        """The Secret."""
        return self.stored

    async def create_secret(self, data: Mapping[str, bytes]) -> bool:
        """Make it, once."""
        if self.stored is not None:
            return False
        self._store(data)
        return True

    async def replace_secret(self, data: Mapping[str, bytes], *, version: str) -> bool:
        """Write it anew if it is still that version."""
        if self.stored is None or self.stored.version != version:
            return False
        self._store(data)
        return True

    async def registration(self) -> Registration | None:
        """The APIService."""
        return self.registered

    async def trust(self, bundle: bytes, *, version: str) -> bool:
        """Change its bundle if it is still that version."""
        if self.registered is None or self.registered.version != version:
            return False
        self.registered = replace(self.registered, bundle=bundle, version=str(int(version) + 1))
        self.writes.append("apiservice")
        return True

    def _store(self, data: Mapping[str, bytes]) -> None:
        before = 0 if self.stored is None else int(self.stored.version)
        self.stored = StoredSecret(dict(data), str(before + 1), ours=True)
        self.writes.append("secret")
