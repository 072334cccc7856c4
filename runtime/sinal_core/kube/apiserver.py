"""The cluster's API server, for the few parts of the runtime that ask it anything.

Credentials are those of `KUBECONFIG`, else of the pod's service account, whose token the client
reads again in time. The official client keeps them and the connection, because it knows all their
forms. Requests are plain JSON and not its generated classes: one class of them imports all kinds of
its group, and those of core/v1 alone take as long as the rest of a role's start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

Object = dict[str, Any]


class NoCredentials(RuntimeError):
    """There is nothing to log in with; the message says what to set."""


class ApiServer:
    """One connection to the API server."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    async def log_in(cls) -> ApiServer:
        """A connection with credentials, to be closed by who asked; raises NoCredentials."""
        configuration = Configuration()
        named = os.environ.get("KUBECONFIG") or None
        try:
            # the kubelet sets it in every container, so without it this is somebody's machine
            if named or not os.environ.get("KUBERNETES_SERVICE_HOST"):
                await load_kube_config(config_file=named, client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise NoCredentials(
                f"no credentials for an API server: {error}; set KUBECONFIG, or run in a pod with "
                "a service account"
            ) from error
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        timeout_s: float,
    ) -> Object:
        """The object that it answers with.

        Raises ApiException for a status that is none of success, aiohttp.ClientError or
        TimeoutError without an answer, ValueError for an answer that is not a JSON object.
        """
        headers = {
            "Accept": "application/json",
            **({} if body is None else {"Content-Type": content}),
        }
        request = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(*request, _request_timeout=timeout_s)
        raw = await answer.read()
        if not 200 <= answer.status <= 299:
            raise ApiException(http_resp=answer)
        found = json.loads(raw)
        if not isinstance(found, dict):
            raise ValueError(f"{path}: the answer is not an object")
        return found


def path(*parts: str) -> str:
    """A path of these parts, each as it is."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
