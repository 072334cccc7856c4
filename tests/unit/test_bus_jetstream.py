"""What the broker is asked about streams, page by page, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sinal_core.nats import BusError, BusRefused, BusUnavailable, wire
from sinal_core.nats.jetstream import JetStream


class Pages:
    """A broker that lists two of its things a page."""

    def __init__(self, things: Sequence[Any], *, of: str) -> None:
        self.things, self.of = things, of
        self.asked: list[str] = []

    async def api(self, path: str, body: bytes = b"") -> bytes:
        self.asked.append(path)
        offset = msgspec.json.decode(body)["offset"]
        page = list(self.things[offset : offset + 2])
        shown: Any = {self.of: page or None}
        if self.of == "subjects":
            shown = {"config": {"name": "T-loja"}, "state": {"subjects": dict(page) or None}}
        return msgspec.json.encode({"total": len(self.things), "offset": offset, **shown})


class Refusing:
    """A broker that refuses everything with one number."""

    def __init__(self, code: int, err_code: int) -> None:
        self.error = wire.error_of(wire.ApiError(code, err_code, "no"), "it")

    async def api(self, path: str, body: bytes = b"") -> bytes:
        raise self.error


async def test_streams_are_listed_page_by_page() -> None:
    names = [f"T-loja-{number}" for number in range(1, 6)]
    described = [
        {"config": {"name": name}, "created": f"2026-11-0{name[-1]}T00:00:00.123456000Z"}
        | {"state": {"messages": 1, "first_ts": "2026-11-01T00:00:00Z"}}
        for name in names
    ]
    found = await JetStream(Pages(described, of="streams").api).streams()
    assert [(name, stream.created_at) for name, stream in found.items()] == [
        (name, datetime(2026, 11, number, 0, 0, 0, 123456, tzinfo=UTC))
        for number, name in enumerate(names, 1)
    ]
    assert await JetStream(Pages([], of="streams").api).streams() == {}


@pytest.mark.parametrize("many", [0, 1, 2, 5])
async def test_consumers_and_subjects_are_listed_whole(many: int) -> None:
    names = [f"dispatch-{number}" for number in range(many)]
    consumers = Pages([{"name": name} for name in names], of="consumers")
    assert list(await JetStream(consumers.api).consumers("T-loja")) == names
    assert await JetStream(Pages(names, of="consumers").api).consumer_names("T-loja") == set(names)
    held = [(name, number) for number, name in enumerate(names)]
    pages = Pages(held, of="subjects")
    assert await JetStream(pages.api).subjects("T-loja", ">") == dict(held)
    assert len(pages.asked) == max(1, (many + 1) // 2)


async def test_what_is_not_there_is_an_answer() -> None:
    no_stream = JetStream(Refusing(404, 10059).api)
    assert await no_stream.stream("T-loja") is None
    assert await no_stream.subjects("T-loja", ">") == {}
    assert await no_stream.consumers("T-loja") == {}
    assert await no_stream.consumer_names("T-loja") == frozenset()
    assert await no_stream.last_message("T-loja", "a") is None
    assert [found async for found in no_stream.scan("T-loja", ">")] == []
    await no_stream.delete_stream("T-loja")
    no_message = JetStream(Refusing(404, 10037).api)
    assert await no_message.next_message("T-loja", "a") is None
    for gone in (10037, 10043, 10057):
        assert not await JetStream(Refusing(400, gone).api).delete_message("T-loja", 7)
    await JetStream(Refusing(404, 10014).api).delete_consumer("T-loja", "match")


@pytest.mark.parametrize(("code", "err_code"), [(503, 10008), (500, 10047), (400, 10052)])
async def test_any_other_refusal_is_raised(code: int, err_code: int) -> None:
    jetstream = JetStream(Refusing(code, err_code).api)
    for work in (
        jetstream.stream("T-loja"),
        jetstream.subjects("T-loja", ">"),
        jetstream.last_message("T-loja", "a"),
        jetstream.delete_message("T-loja", 7),
        jetstream.delete_stream("T-loja"),
    ):
        with pytest.raises(BusRefused) as caught:
            await work
        assert caught.value.err_code == err_code
        assert isinstance(caught.value, BusUnavailable) is (code != 400)
        assert isinstance(caught.value, BusError)


async def test_a_stored_message_has_its_headers_by_name() -> None:
    async def api(path: str, body: bytes) -> bytes:
        assert path == "STREAM.MSG.GET.T-loja"
        block = b"NATS/1.0\r\nNats-Msg-Id: sale:1\r\nother:x: y\r\n\r\n"
        message = {"seq": 7, "subject": "t.loja.in.sale", "data": b"sold", "hdrs": block}
        return msgspec.json.encode({"message": message})

    found = await JetStream(api).last_message("T-loja", "t.loja.in.sale")
    assert found is not None
    assert (found.seq, found.body) == (7, b"sold")
    assert found.headers == {"Nats-Msg-Id": "sale:1", "other": "x: y"}
