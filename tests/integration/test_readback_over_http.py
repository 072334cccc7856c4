"""The calls to gateways' APIs over real HTTP: what leaves, and what each kind of answer means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from sinal_hub.model.readback import MissingCredential, ReadBack
from sinal_hub.readback import GatewayApi
from sinal_hub.readback.api import MAX_ANSWER, Busy, Denied, NotThere

CALL = ReadBack(path="/v1/payments/123", headers={"Authorization": "Bearer {accessToken}"})
CREDENTIALS = {"accessToken": "APP_USR-1", "email": "loja+1@example.com", "token": "t&k"}
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Emulator:
    """An API that answers as the test says and keeps what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[web.Request] = []
        self.answer: Answer = self._payment

    async def _payment(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({"id": 123})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Keep and answer."""
        self.asked.append(request)
        return await self.answer(request)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    found = Emulator()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield found
    await runner.cleanup()


@pytest.fixture
async def api(emulator: Emulator) -> AsyncIterator[GatewayApi]:
    found = GatewayApi(urls={"mercadopago": emulator.url, "pagbank": emulator.url}, timeout_s=60)
    yield found
    await found.close()


async def ask(api: GatewayApi, call: ReadBack = CALL, *, gateway: str = "mercadopago") -> bytes:
    return await api.get(gateway, "https://unused.example", call, CREDENTIALS)


async def test_the_token_travels_in_the_header(api: GatewayApi, emulator: Emulator) -> None:
    assert await ask(api) == b'{"id": 123}'
    [request] = emulator.asked
    assert (request.method, request.path, request.query_string) == ("GET", "/v1/payments/123", "")
    assert request.headers["Authorization"] == "Bearer APP_USR-1"


async def test_credentials_of_a_query_are_escaped(api: GatewayApi, emulator: Emulator) -> None:
    call = ReadBack(
        path="/v3/transactions/notifications/C1", query={"email": "{email}", "token": "{token}"}
    )
    await ask(api, call, gateway="pagbank")
    assert dict(emulator.asked[0].query) == {"email": "loja+1@example.com", "token": "t&k"}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Denied),
        (403, Denied),
        (404, NotThere),
        (400, NotThere),
        (429, Busy),
        (500, Busy),
        (503, Busy),
        (302, Busy),
    ],
)
async def test_answers_that_are_no_sale(
    status: int, error: type[Exception], api: GatewayApi, emulator: Emulator
) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, text="APP_USR-1 is wrong", headers={"Location": "http://127.0.0.1:1/"}
        )

    emulator.answer = answer
    with pytest.raises(error) as raised:
        await ask(api)
    assert len(emulator.asked) == 1
    assert "APP_USR" not in str(raised.value)


async def test_silence_is_busy(emulator: Emulator) -> None:
    impatient = GatewayApi(urls={"mercadopago": emulator.url}, timeout_s=0.5)

    async def answer(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    emulator.answer = answer
    with pytest.raises(Busy):
        await ask(impatient)
    await impatient.close()


async def test_nobody_there_is_busy() -> None:
    api = GatewayApi(urls={"mercadopago": "http://127.0.0.1:1"}, timeout_s=0.5)
    with pytest.raises(Busy):
        await ask(api)
    await api.close()


async def test_an_answer_without_end_is_not_kept(api: GatewayApi, emulator: Emulator) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * (MAX_ANSWER + 1))

    emulator.answer = answer
    with pytest.raises(Busy):
        await ask(api)


async def test_without_its_credential_no_call_is_made(api: GatewayApi, emulator: Emulator) -> None:
    with pytest.raises(MissingCredential, match="accessToken"):
        await api.get("mercadopago", "https://unused.example", CALL, {"webhookSecret": "s"})
    assert emulator.asked == []
