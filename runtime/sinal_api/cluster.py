"""Manifests made through the API as objects of the cluster, by server-side apply.

The API's own field manager owns what it sets and takes nothing from others: who else has set a
field to another value is named. `kubernetes.aio` is imported where this sink is wanted and nowhere
else, because it costs memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog
from kubernetes.aio.client.exceptions import ApiException

from sinal_core.kube.apiserver import ApiServer, path
from sinal_crds.names import API_VERSION, GROUP, VERSION
from sinal_crds.schema import FACES
from sinal_hub.services.errors import FieldFault
from sinal_hub.services.manifest_sink import (
    InvalidForCluster,
    NotAllowed,
    ObjectRef,
    OwnedByOthers,
    SinkUnavailable,
)

log = structlog.get_logger(__name__)

FIELD_MANAGER = "sinal-api"
SUSPENDER = "sinal-api-suspension"
TIMEOUT_S = 10.0
VERBS = {
    face.plural: "`create` and `patch`" if kind == "Funnel" else "`patch`"
    for kind, face in FACES.items()
}
_APPLY = "application/apply-patch+yaml"
_OWNER = re.compile(r'conflict with "(?P<owner>[^"]+)"')
_UPDATE = re.compile(r'conflict with "[^"]+" using ')


class ClusterSink:
    """One connection to the API server."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> ClusterSink:
        """Read the credentials; raises NoCredentials."""
        return cls(await ApiServer.log_in())

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def put(self, manifest: Mapping[str, Any]) -> str:
        """Apply it; the same manifest again is fine.

        Raises OwnedByOthers, NotAllowed, InvalidForCluster, …
        """
        return await self._apply(manifest, FIELD_MANAGER)

    async def set_suspended(self, ref: ObjectRef, suspended: bool) -> str:
        """Apply that one field, by an owner of its own so that nothing else is given up.

        Who has applied another value on the server's side is named. Who has sent the whole object,
        as `kubectl apply` does, owns each default in it, too: from such an owner the field is
        taken.
        """
        uid = {"uid": ref.uid} if ref.uid else {}
        manifest = {
            "apiVersion": API_VERSION,
            "kind": ref.kind,
            "metadata": {"name": ref.name, "namespace": ref.namespace, **uid},
            "spec": {"suspended": suspended},
        }
        try:
            return await self._apply(manifest, SUSPENDER)
        except OwnedByOthers as error:
            if not error.faults or not all(_of_an_update(one) for one in _causes(error.__cause__)):
                raise
        return await self._apply(manifest, SUSPENDER, force=True)

    async def _apply(
        self, manifest: Mapping[str, Any], manager: str, *, force: bool = False
    ) -> str:
        kind, metadata = manifest["kind"], manifest["metadata"]
        plural, namespace, name = FACES[kind].plural, metadata["namespace"], metadata["name"]
        try:
            await self._api.ask(
                "PATCH",
                path("apis", GROUP, VERSION, "namespaces", namespace, plural, name),
                dict(manifest),
                query={"fieldManager": manager, "force": str(force).lower()},
                content=_APPLY,
                timeout_s=TIMEOUT_S,
            )
        except ApiException as error:
            raise _refusal(error, plural, namespace, name) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            log.warning("api.cluster_unavailable", error=type(error).__name__)
            raise SinkUnavailable(
                "the API server of the cluster does not answer; nothing was changed"
            ) from error
        return f"{plural}.{GROUP}/{name} in {namespace}"


def _refusal(error: ApiException, plural: str, namespace: str, name: str) -> Exception:
    """What the API server's answer means for who asked."""
    message = str(_status(error.body).get("message") or error.reason or "")
    causes = _causes(error)
    match error.status:
        case 409:
            return OwnedByOthers(f"{plural} {name!r} in {namespace}", list(map(_owned, causes)))
        case 403:
            return NotAllowed(
                f"the cluster refuses: {message}. Grant this API's service account the verbs "
                f"{VERBS[plural]} on "
                f"`{plural}.{GROUP}` in the namespace {namespace!r}"
            )
        case 400 | 422:
            return InvalidForCluster(
                message,
                [FieldFault(_path(cause), str(cause.get("message", ""))) for cause in causes],
            )
    log.warning("api.cluster_refused", status=error.status, namespace=namespace, kind=plural)
    if error.status == 404:
        return SinkUnavailable(
            f"the cluster knows no {plural}.{GROUP} or no namespace {namespace!r}: {message}"
        )
    return SinkUnavailable(f"the API server of the cluster answered {error.status}: {message}")


def _causes(error: BaseException | None) -> list[dict[str, Any]]:
    """What the API server names one by one."""
    if not isinstance(error, ApiException):
        return []
    details = _status(error.body).get("details") or {}
    return [cause for cause in details.get("causes") or () if isinstance(cause, dict)]


def _of_an_update(cause: Mapping[str, Any]) -> bool:
    """Whether the owner has sent the whole object.

    The API server names the version that it was `using`.
    """
    return _UPDATE.search(str(cause.get("message", ""))) is not None


def _owned(cause: Mapping[str, Any]) -> FieldFault:
    found = _OWNER.search(str(cause.get("message", "")))
    owner = found["owner"] if found else "somebody else"
    return FieldFault(
        _path(cause),
        f"is set to another value by {owner!r}: change it there, or leave the field out",
    )


def _path(cause: Mapping[str, Any]) -> str:
    return str(cause.get("field") or "").removeprefix(".") or "(manifest)"


def _status(body: object) -> dict[str, Any]:
    """The `Status` of an error answer; empty where a proxy answered something else."""
    try:
        found = json.loads(body) if isinstance(body, str | bytes) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
