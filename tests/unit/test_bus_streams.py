"""What the broker is asked about all streams, page by page."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from sinal_core.nats import streams


class Pages:
    """A broker that lists two streams a page."""

    def __init__(self, streams: list[str]) -> None:
        self.streams = streams

    async def api(self, path: str, body: bytes = b"") -> bytes:
        assert path == "STREAM.LIST"
        offset = msgspec.json.decode(body)["offset"]
        page = [
            {
                "config": {"name": name, "subjects": []},
                "created": f"2026-11-0{int(name[-1])}T00:00:00Z",
                "state": {},
            }
            for name in self.streams[offset : offset + 2]
        ]
        return msgspec.json.encode(
            {"total": len(self.streams), "offset": offset, "limit": 2, "streams": page or None}
        )


async def test_streams_are_listed_page_by_page() -> None:
    names = [f"T-loja-{number}" for number in range(1, 6)]
    found = await streams.listed(Pages(names).api)
    assert [(stream.config.name, stream.created) for stream in found] == [
        (name, datetime(2026, 11, number, tzinfo=UTC)) for number, name in enumerate(names, 1)
    ]
    assert await streams.listed(Pages([]).api) == []
