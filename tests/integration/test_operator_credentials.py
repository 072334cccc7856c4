"""The operator's own requests: a token that was replaced is read again, listings are read whole,
errors are typed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.resources import CUSTOM

FUNNELS = CUSTOM["Funnel"]


class ApiServer:
    """As much of an API server as shows what the client does: one token is good, three objects, two
    a page.
    """

    def __init__(self) -> None:
        self.token = "first"
        self.asked: list[str | None] = []
        self.app = web.Application()
        self.app.router.add_get("/apis/sinal.dev/v1alpha1/funnels", self._list)
        self.app.router.add_get(
            "/apis/sinal.dev/v1alpha1/namespaces/default/funnels/broken", self._broken
        )

    async def _list(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"kind": "Status", "message": "Unauthorized"}, status=401)
        page = request.query.get("continue")
        self.asked.append(page)
        items = [{"metadata": {"name": name}} for name in (["c"] if page else ["a", "b"])]
        metadata: dict[str, Any] = (
            {"resourceVersion": "7"} if page else {"resourceVersion": "7", "continue": "more"}
        )
        return web.json_response({"metadata": metadata, "items": items})

    async def _broken(self, request: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "message": "etcd is unwell"}, status=500)


def kubeconfig(path: Path, url: str, token: str) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(content))


@pytest.fixture
async def api() -> AsyncIterator[tuple[ApiServer, TestServer]]:
    found = ApiServer()
    server = TestServer(found.app)
    await server.start_server()
    yield found, server
    await server.close()


@pytest.fixture
async def client(
    api: tuple[ApiServer, TestServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ApiServerClient]:
    path = tmp_path / "config"
    kubeconfig(path, str(api[1].make_url("")), "first")
    monkeypatch.setenv("KUBECONFIG", str(path))
    found = ApiServerClient()
    yield found
    await found.close()


async def names(client: ApiServerClient) -> list[str]:
    return [item["metadata"]["name"] async for page, _ in client.pages(FUNNELS) for item in page]


async def test_a_listing_is_read_to_its_end(
    client: ApiServerClient, api: tuple[ApiServer, TestServer]
) -> None:
    assert await names(client) == ["a", "b", "c"]
    assert api[0].asked == [None, "more"]


async def test_a_token_that_was_replaced_is_read_again(
    client: ApiServerClient, api: tuple[ApiServer, TestServer], tmp_path: Path
) -> None:
    await names(client)
    api[0].token = "second"
    kubeconfig(tmp_path / "config", str(api[1].make_url("")), "second")
    assert await names(client) == ["a", "b", "c"]


async def test_a_token_that_is_no_good_is_refused_and_not_tried_for_ever(
    client: ApiServerClient, api: tuple[ApiServer, TestServer]
) -> None:
    api[0].token = "unknown to us"
    with pytest.raises(ApiServerRefused, match="Unauthorized") as caught:
        await names(client)
    assert caught.value.status == 401
    assert "first" not in str(caught.value)


async def test_what_the_server_says_is_in_the_error(client: ApiServerClient) -> None:
    with pytest.raises(ApiServerRefused, match="etcd is unwell"):
        await client.get(FUNNELS, "default", "broken")


async def test_an_object_that_is_not_there_is_none(client: ApiServerClient) -> None:
    assert await client.get(FUNNELS, "default", "nobody") is None


async def test_a_server_that_is_away_is_unreachable(
    client: ApiServerClient, api: tuple[ApiServer, TestServer]
) -> None:
    await api[1].close()
    with pytest.raises(ApiServerUnreachable):
        await names(client)


async def test_without_credentials_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    client = ApiServerClient()
    with pytest.raises(ApiServerUnreachable, match="set KUBECONFIG, or run in a pod"):
        await names(client)
    await client.close()
