"""The API server without kubectl: for many requests at once."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import yaml

from sinal_operator.cluster.resources import CUSTOM, SECRETS, Resource

Manifest = dict[str, Any]
RESOURCES: dict[str, Resource] = {**CUSTOM, "Secret": SECRETS}
MANAGER = "a-person"


class Api:
    """A session in one namespace, with the certificate of a kubeconfig."""

    def __init__(self, kubeconfig: Path, namespace: str, *, parallel: int = 16) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server = cluster["server"]
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self._gate = asyncio.Semaphore(parallel)
        self._namespace = namespace
        self.session: aiohttp.ClientSession

    async def __aenter__(self) -> Api:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        self.session = aiohttp.ClientSession(self._server, connector=connector)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.session.close()

    def path(self, kind: str, name: str = "") -> str:
        """URL path of an object or of all of a kind."""
        return RESOURCES[kind].path(self._namespace, name)

    async def apply(self, *manifests: Manifest) -> None:
        """Server-side apply, all at once."""
        await asyncio.gather(*map(self._apply, manifests))

    async def delete(self, kind: str, name: str) -> None:
        """Ask for a deletion; fine if it is gone."""
        async with self._gate, self.session.delete(self.path(kind, name)) as answer:
            if answer.status >= 400 and answer.status != 404:
                raise RuntimeError(f"delete {kind} {name}: {await answer.text()}")

    async def list(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        resource = RESOURCES[kind]
        async with self._gate, self.session.get(self.path(kind)) as answer:
            items: list[Manifest] = (await answer.json())["items"]
            return [{"apiVersion": resource.api_version, "kind": kind, **item} for item in items]

    async def _apply(self, manifest: Manifest) -> None:
        path = self.path(manifest["kind"], manifest["metadata"]["name"])
        headers = {"Content-Type": "application/apply-patch+yaml"}
        query = {"fieldManager": MANAGER, "force": "true"}
        async with (
            self._gate,
            self.session.patch(
                path, params=query, headers=headers, data=json.dumps(manifest)
            ) as answer,
        ):
            if answer.status >= 400:
                raise RuntimeError(f"{path}: {await answer.text()}")
