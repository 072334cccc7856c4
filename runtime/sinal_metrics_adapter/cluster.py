"""The adapter's requests to the API server."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from sinal_core.kube.apiserver import ApiServer, NoCredentials, Object, path
from sinal_metrics_adapter.errors import ClusterRefused, ClusterUnavailable
from sinal_metrics_adapter.ports import (
    API_SERVICE,
    GROUP,
    VERSION,
    FrontProxy,
    Registration,
    StoredSecret,
    User,
    Wish,
)

TIMEOUT_S = 10.0
FRONT_PROXY = ("kube-system", "extension-apiserver-authentication")
MARK = "sinal.dev/made-by"
MAKER = "metrics-adapter"
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_MERGE = "application/merge-patch+json"
_REGISTRATION = path("apis", "apiregistration.k8s.io", "v1", "apiservices", API_SERVICE)


def pod_namespace() -> str | None:
    """The namespace of this pod; None outside a cluster."""
    try:
        return _POD_NAMESPACE.read_text().strip()
    except OSError:
        return None


class Cluster:
    """One connection to the API server; it is `Keeping` and `Reviews`."""

    def __init__(self, api: ApiServer, *, namespace: str, secret: str) -> None:
        self._api, self._secret = api, secret
        self._secrets = path("api", "v1", "namespaces", namespace, "secrets")

    @classmethod
    async def connect(cls, *, namespace: str, secret: str) -> Cluster:
        """Read the credentials; raises ClusterRefused where there are none."""
        try:
            api = await ApiServer.log_in()
        except NoCredentials as error:
            raise ClusterRefused(str(error)) from error
        return cls(api, namespace=namespace, secret=secret)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def front_proxy(self) -> FrontProxy:
        """How to know the API server."""
        namespace, name = FRONT_PROXY
        where = path("api", "v1", "namespaces", namespace, "configmaps", name)
        found = await self._do(f"configmaps {name} of {namespace}", "GET", where)
        return front_proxy(found.get("data") or {})

    async def secret(self) -> StoredSecret | None:
        """The Secret with our certificate."""
        where = self._secrets + path(self._secret)
        found = await self._maybe(
            f"get secrets {self._secret}", "GET", where, without=HTTPStatus.NOT_FOUND
        )
        if found is None:
            return None
        ours = (found["metadata"].get("annotations") or {}).get(MARK) == MAKER
        data = {name: _decoded(value) for name, value in (found.get("data") or {}).items()}
        return StoredSecret(data, found["metadata"]["resourceVersion"], ours)

    async def create_secret(self, data: Mapping[str, bytes]) -> bool:
        """Make it; False when somebody has just done so."""
        body = self._body(data)
        done = await self._maybe(
            "create secrets", "POST", self._secrets, body, without=HTTPStatus.CONFLICT
        )
        return done is not None

    async def replace_secret(self, data: Mapping[str, bytes], *, version: str) -> bool:
        """Write that version anew; False when it has changed since."""
        where, body = self._secrets + path(self._secret), self._body(data, version)
        done = await self._maybe(
            f"update secrets {self._secret}", "PUT", where, body, without=HTTPStatus.CONFLICT
        )
        return done is not None

    async def registration(self) -> Registration | None:
        """The APIService."""
        found = await self._maybe(
            f"get apiservices {API_SERVICE}", "GET", _REGISTRATION, without=HTTPStatus.NOT_FOUND
        )
        if found is None:
            return None
        spec = found["spec"]
        service = spec.get("service") or {}
        bundle = _decoded(spec.get("caBundle") or "")
        version = found["metadata"]["resourceVersion"]
        return Registration(service.get("namespace", ""), service.get("name", ""), bundle, version)

    async def trust(self, bundle: bytes, *, version: str) -> bool:
        """Tell the API server whom to trust in that version of the APIService.

        False when it has changed since.
        """
        body = {"metadata": {"resourceVersion": version}, "spec": {"caBundle": _encoded(bundle)}}
        what = f"patch apiservices {API_SERVICE}"
        done = await self._maybe(
            what, "PATCH", _REGISTRATION, body, content=_MERGE, without=HTTPStatus.CONFLICT
        )
        return done is not None

    async def review_token(self, token: str) -> User | None:
        """Whose token it is."""
        status = await self._review(
            "authentication.k8s.io", "tokenreviews", "TokenReview", {"token": token}
        )
        found = status.get("user")
        if not status.get("authenticated") or not found:
            return None
        extra = {name: tuple(values) for name, values in (found.get("extra") or {}).items()}
        return User(
            found.get("username", ""), tuple(found.get("groups") or ()), found.get("uid", ""), extra
        )

    async def review_access(self, user: User, wish: Wish) -> tuple[bool, str]:
        """Whether they may, and what is said about it."""
        if wish.metric:
            # `list`, as the API server itself words a GET that names no single object of a
            # resource.
            asked = {"verb": "list", "group": GROUP, "version": VERSION, "resource": wish.metric}
            what = {"resourceAttributes": {**asked, "namespace": wish.namespace}}
        else:
            what = {"nonResourceAttributes": {"verb": "get", "path": wish.path}}
        extra = {name: list(values) for name, values in user.extra.items()}
        spec = {
            "user": user.name,
            "groups": list(user.groups),
            "uid": user.uid,
            "extra": extra,
            **what,
        }
        status = await self._review(
            "authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", spec
        )
        return bool(status.get("allowed")), str(status.get("reason") or "")

    async def _review(self, group: str, plural: str, kind: str, spec: Object) -> Object:
        """What the API server says to a question that is an object."""
        body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        found = await self._do(f"create {plural}", "POST", path("apis", group, "v1", plural), body)
        return dict(found.get("status") or {})

    def _body(self, data: Mapping[str, bytes], version: str | None = None) -> Object:
        metadata: Object = {"name": self._secret, "annotations": {MARK: MAKER}}
        if version is not None:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": metadata,
            "data": {name: _encoded(value) for name, value in data.items()},
        }

    async def _do(
        self,
        what: str,
        method: str,
        where: str,
        body: Object | None = None,
        *,
        content: str = "application/json",
    ) -> Object:
        """The answer to a request; raises ClusterUnavailable."""
        try:
            return await self._api.ask(method, where, body, content=content, timeout_s=TIMEOUT_S)
        except ApiException as error:
            raise _refusal(what, error) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ClusterUnavailable(f"{what}: {type(error).__name__}") from error

    async def _maybe(
        self,
        what: str,
        method: str,
        where: str,
        body: Object | None = None,
        *,
        content: str = "application/json",
        without: HTTPStatus,
    ) -> Object | None:
        """As `_do`, or None for that one status."""
        try:
            return await self._do(what, method, where, body, content=content)
        except ClusterUnavailable as error:
            if isinstance(error.__cause__, ApiException) and error.__cause__.status == without:
                return None
            raise


def front_proxy(data: Mapping[str, str]) -> FrontProxy:
    """What the ConfigMap of the API server says.

    Raises ClusterRefused where it has no aggregation.
    """
    authorities = data.get("requestheader-client-ca-file", "")
    if not authorities:
        raise ClusterRefused(
            "the API server names no requestheader-client-ca-file: start it with the flags of its "
            "aggregation layer"
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
        return ClusterRefused(
            f"the API server does not let us {what} ({error.status}); see the chart's RBAC rules"
        )
    return ClusterUnavailable(f"{what}: the API server answered {error.status}")


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decoded(value: str) -> bytes:
    return base64.b64decode(value)
