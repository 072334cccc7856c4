"""The adapter's requests to the API server, through the official client."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from sinal_runtime import apiserver
from sinal_runtime.adapter.errors import ClusterRefused, ClusterUnavailable
from sinal_runtime.adapter.ports import API_SERVICE, GROUP, VERSION, FrontProxy, Registration, Stored, User, Wish

TIMEOUT_S = 10.0
FRONT_PROXY = ("kube-system", "extension-apiserver-authentication")
MARK = "sinal.dev/made-by"
MAKER = "metrics-adapter"
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_MERGE = "application/merge-patch+json"


def pod_namespace() -> str | None:
    """The namespace of this pod; None outside a cluster."""
    try:
        return _POD_NAMESPACE.read_text().strip()
    except OSError:
        return None


class Cluster:
    """One connection to the API server; it is `Keeping` and `Reviews`."""

    def __init__(self, api: Any, *, namespace: str, secret: str) -> None:
        self._api, self._namespace, self._secret = api, namespace, secret
        self._core = client.CoreV1Api(api)
        self._registrations = client.ApiregistrationV1Api(api)
        self._authentication = client.AuthenticationV1Api(api)
        self._authorisation = client.AuthorizationV1Api(api)

    @classmethod
    async def connect(cls, *, namespace: str, secret: str) -> Cluster:
        """Read the credentials; raises ClusterRefused where there are none."""
        try:
            api = await apiserver.log_in()
        except apiserver.NoCredentials as error:
            raise ClusterRefused(str(error)) from error
        return cls(api, namespace=namespace, secret=secret)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def front_proxy(self) -> FrontProxy:
        """How to know the API server."""
        namespace, name = FRONT_PROXY
        what = f"configmaps {name} of {namespace}"
        found = await self._do(what, self._core.read_namespaced_config_map(name, namespace, _request_timeout=TIMEOUT_S))
        return front_proxy(found.data or {})

    async def secret(self) -> Stored | None:
        """The Secret with our certificate."""
        reading = self._core.read_namespaced_secret(self._secret, self._namespace, _request_timeout=TIMEOUT_S)
        found = await self._maybe(f"get secrets {self._secret}", reading, without=HTTPStatus.NOT_FOUND)
        if found is None:
            return None
        ours = (found.metadata.annotations or {}).get(MARK) == MAKER
        data = {name: _decoded(value) for name, value in (found.data or {}).items()}
        return Stored(data, found.metadata.resource_version, ours)

    async def create_secret(self, data: Mapping[str, bytes]) -> bool:
        """Make it; False when somebody has just done so."""
        making = self._core.create_namespaced_secret(self._namespace, self._body(data), _request_timeout=TIMEOUT_S)
        done = await self._maybe("create secrets", making, without=HTTPStatus.CONFLICT)
        return done is not None

    async def replace_secret(self, data: Mapping[str, bytes], *, version: str) -> bool:
        """Write that version anew; False when it has changed since."""
        writing = self._core.replace_namespaced_secret(
            self._secret, self._namespace, self._body(data, version), _request_timeout=TIMEOUT_S
        )
        done = await self._maybe(f"update secrets {self._secret}", writing, without=HTTPStatus.CONFLICT)
        return done is not None

    async def registration(self) -> Registration | None:
        """The APIService."""
        reading = self._registrations.read_api_service(API_SERVICE, _request_timeout=TIMEOUT_S)
        found = await self._maybe(f"get apiservices {API_SERVICE}", reading, without=HTTPStatus.NOT_FOUND)
        if found is None:
            return None
        service = found.spec.service
        namespace, name = (service.namespace or "", service.name or "") if service is not None else ("", "")
        return Registration(namespace, name, _decoded(found.spec.ca_bundle or b""), found.metadata.resource_version)

    async def trust(self, bundle: bytes, *, version: str) -> bool:
        """Tell the API server whom to trust in that version of the APIService; False when it has changed since."""
        body = {"metadata": {"resourceVersion": version}, "spec": {"caBundle": _encoded(bundle)}}
        writing = self._registrations.patch_api_service(
            API_SERVICE, body, _content_type=_MERGE, _request_timeout=TIMEOUT_S
        )
        done = await self._maybe(f"patch apiservices {API_SERVICE}", writing, without=HTTPStatus.CONFLICT)
        return done is not None

    async def review_token(self, token: str) -> User | None:
        """Whose token it is."""
        body = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token))
        asking = self._authentication.create_token_review(body, _request_timeout=TIMEOUT_S)
        status = (await self._do("create tokenreviews", asking)).status
        if status is None or not status.authenticated or status.user is None:
            return None
        user = status.user
        extra = {name: tuple(values) for name, values in (user.extra or {}).items()}
        return User(user.username or "", tuple(user.groups or ()), user.uid or "", extra)

    async def review_access(self, user: User, wish: Wish) -> tuple[bool, str]:
        """Whether they may, and what is said about it."""
        spec = client.V1SubjectAccessReviewSpec(
            user=user.name,
            groups=list(user.groups),
            uid=user.uid,
            extra={name: list(values) for name, values in user.extra.items()},
        )
        if wish.metric:
            spec.resource_attributes = client.V1ResourceAttributes(
                verb="list", group=GROUP, version=VERSION, resource=wish.metric, namespace=wish.namespace
            )
        else:
            spec.non_resource_attributes = client.V1NonResourceAttributes(verb="get", path=wish.path)
        body = client.V1SubjectAccessReview(spec=spec)
        asking = self._authorisation.create_subject_access_review(body, _request_timeout=TIMEOUT_S)
        status = (await self._do("create subjectaccessreviews", asking)).status
        return bool(status.allowed), str(status.reason or "")

    def _body(self, data: Mapping[str, bytes], version: str | None = None) -> client.V1Secret:
        return client.V1Secret(
            type="kubernetes.io/tls",
            metadata=client.V1ObjectMeta(name=self._secret, annotations={MARK: MAKER}, resource_version=version),
            data={name: _encoded(value) for name, value in data.items()},
        )

    async def _do(self, what: str, request: Awaitable[Any]) -> Any:
        """The answer to a request; raises ClusterUnavailable."""
        try:
            return await request
        except ApiException as error:
            raise _refusal(what, error) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ClusterUnavailable(f"{what}: {type(error).__name__}") from error

    async def _maybe(self, what: str, request: Awaitable[Any], *, without: HTTPStatus) -> Any:
        """As `_do`, or None for that one status."""
        try:
            return await self._do(what, request)
        except ClusterUnavailable as error:
            if isinstance(error.__cause__, ApiException) and error.__cause__.status == without:
                return None
            raise


def front_proxy(data: Mapping[str, str]) -> FrontProxy:
    """What the ConfigMap of the API server says; raises ClusterRefused where it has no aggregation."""
    authorities = data.get("requestheader-client-ca-file", "")
    if not authorities:
        raise ClusterRefused(
            "the API server names no requestheader-client-ca-file: start it with the flags of its aggregation layer"
        )

    def names(key: str) -> tuple[str, ...]:
        return tuple(json.loads(data.get(f"requestheader-{key}") or "[]"))

    return FrontProxy(
        authorities.encode(),
        names("allowed-names"),
        names("username-headers"),
        names("group-headers"),
        names("extra-headers-prefix"),
        names("uid-headers"),
    )


def _refusal(what: str, error: ApiException) -> ClusterUnavailable:
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ClusterRefused(f"the API server does not let us {what} ({error.status}); see the chart's RBAC rules")
    return ClusterUnavailable(f"{what}: the API server answered {error.status}")


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decoded(value: bytes | str) -> bytes:
    return base64.b64decode(value)
