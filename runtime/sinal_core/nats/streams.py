"""Streams as JetStream describes them: all of them, page by page, and what one holds by subject.
Raises BusError.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import msgspec

from sinal_crds import names

Api = Callable[[str, bytes], Awaitable[bytes]]


class Config(msgspec.Struct, frozen=True):
    """Of a stream's configuration what readers need."""

    name: str
    metadata: dict[str, str] = {}


class State(msgspec.Struct, frozen=True):
    """What lies in it."""

    messages: int = 0
    first_ts: datetime | None = None


class Stream(msgspec.Struct, frozen=True):
    """One stream; made anew after a loss it has another `created`."""

    config: Config
    created: datetime
    state: State

    @property
    def tenant(self) -> str | None:
        """Whose queue it is; None where it is not a living tenant's."""
        try:
            slug = names.slug_of_stream(self.config.name)
        except ValueError:
            return None
        return (
            None if self.config.metadata.get(names.OWNER, "").startswith(names.RETAINED) else slug
        )


class _Page(msgspec.Struct, frozen=True):
    total: int
    streams: list[Stream] | None = None


class _Held(msgspec.Struct, frozen=True):
    subjects: dict[str, int] | None = None


class _Info(msgspec.Struct, frozen=True):
    state: _Held


_page = msgspec.json.Decoder(_Page).decode
_info = msgspec.json.Decoder(_Info).decode


async def listed(api: Api) -> list[Stream]:
    """All streams that there are."""
    found: list[Stream] = []
    while True:
        page = _page(await api("STREAM.LIST", b'{"offset":%d}' % len(found)))
        found.extend(page.streams or [])
        if not page.streams or len(found) >= page.total:
            return found


async def held(api: Api, stream: str, subjects: str) -> Mapping[str, int]:
    """Messages on each subject under a pattern, delivered or not; raises LaneMissing too."""
    wanted = msgspec.json.encode({"subjects_filter": subjects})
    return _info(await api(f"STREAM.INFO.{stream}", wanted)).state.subjects or {}
