"""Secrets in use: fetched once, followed by events, and a spoilt value spoils only itself."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sinal_crds.loading import Objects, parse
from sinal_crds.references import SECRET_KEY_MISSING, ReferenceProblem
from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.secret_cache import MANY, SecretCache


class FewRequests(ApiServerClient):
    """Answers from memory and counts."""

    def __init__(self, *bodies: dict[str, Any]) -> None:
        super().__init__()
        self.bodies = {body["metadata"]["name"]: body for body in bodies}
        self.gets: list[str] = []
        self.listings = 0

    async def get(self, resource: Any, namespace: str, name: str) -> dict[str, Any] | None:
        self.gets.append(name)
        return self.bodies.get(name)

    async def pages(
        self, resource: Any, *, namespace: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        self.listings += 1
        yield list(self.bodies.values()), "1"


def secret(name: str, version: int = 1, **values: bytes) -> dict[str, Any]:
    data = {key: base64.b64encode(value).decode() for key, value in values.items()}
    return {
        "metadata": {"namespace": "default", "name": name, "resourceVersion": str(version)},
        "data": data,
    }


def using(*names: str) -> Objects:
    return Objects.of(
        parse(
            {
                "apiVersion": "sinal.dev/v1alpha1",
                "kind": "Destination",
                "metadata": {"name": f"d-{name}"},
                "spec": {
                    "tenantRef": "loja",
                    "meta": {"pixelId": "12345678", "accessTokenSecretRef": {"name": name}},
                },
            }
        )
        for name in names
    )


async def test_a_secret_is_fetched_when_something_refers_to_it_and_then_no_more() -> None:
    client = FewRequests(secret("keys", accessToken=b"t"), secret("unused", accessToken=b"u"))
    secret_cache = SecretCache(client)
    for _ in range(3):
        found = await secret_cache.fetch(using("keys", "missing"))
    assert found.get("default", "keys") == {"accessToken": "t"}
    assert found.get("default", "missing") is None
    assert sorted(client.gets) == ["keys", "missing"]


async def test_events_of_used_secrets_change_plans_and_no_others_do() -> None:
    secret_cache = SecretCache(FewRequests(secret("keys", accessToken=b"t")))
    await secret_cache.fetch(using("keys"))
    assert not secret_cache.event(secret("unused", 5, accessToken=b"u"), gone=False)
    assert not secret_cache.event(secret("keys", 2, accessToken=b"t"), gone=False), (
        "the same values"
    )
    assert secret_cache.event(secret("keys", 3, accessToken=b"new"), gone=False)
    assert (await secret_cache.fetch(using("keys"))).get("default", "keys") == {
        "accessToken": "new"
    }
    assert not secret_cache.event(secret("keys", 2, accessToken=b"t"), gone=False), (
        "an older version"
    )
    assert secret_cache.event(secret("keys", 4), gone=True)
    assert (await secret_cache.fetch(using("keys"))).get("default", "keys") is None


async def test_a_value_that_is_no_text_spoils_itself_only_and_is_named() -> None:
    secret_cache = SecretCache(FewRequests(secret("keys", accessToken=b"t", keystore=b"\xff")))
    assert (await secret_cache.fetch(using("keys"))).get("default", "keys") == {"accessToken": "t"}
    missing = ReferenceProblem(
        "Destination",
        "default",
        "d",
        "spec",
        SECRET_KEY_MISSING,
        "no value",
        ("Secret", "default", "keys"),
    )
    (explained,) = secret_cache.explained([missing])
    assert explained.reason == "SecretMalformed"
    assert "data.keystore" in explained.message


async def test_very_many_are_taken_from_one_listing() -> None:
    names = [f"s{n}" for n in range(MANY + 1)]
    client = FewRequests(*(secret(name, accessToken=b"t") for name in names))
    found = await SecretCache(client).fetch(using(*names))
    assert (client.listings, client.gets, len(found)) == (1, [], MANY + 1)


@pytest.mark.parametrize("gone", [True, False])
async def test_no_representation_holds_a_value(gone: bool) -> None:
    secret_cache = SecretCache(FewRequests(secret("keys", accessToken=b"do-not-print")))
    await secret_cache.fetch(using("keys"))
    secret_cache.event(secret("keys", 2, accessToken=b"do-not-print"), gone=gone)
    assert "do-not-print" not in repr(vars(secret_cache))
