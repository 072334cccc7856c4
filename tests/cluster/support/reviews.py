"""What an account may do, asked of the API server itself: one SubjectAccessReview an attempt."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp

from tests.cluster.support.control_plane import ControlPlane

_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True, order=True)
class Attempt:
    """A verb on a resource (`group/resource/subresource`, the core's group empty), of any name or
    of one.
    """

    namespace: str  # empty: of the cluster
    resource: str
    verb: str
    name: str = ""


class Reviews:
    """Asks for one release's namespace."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        pki = plane.kubeconfig.parent
        self._context = ssl.create_default_context(cafile=str(plane.authority.path))
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._url, self._namespace = plane.url + _PATH, namespace

    async def allowed(self, account: str, attempts: Iterable[Attempt]) -> set[Attempt]:
        """Those of the attempts that the account may make."""
        connector = aiohttp.TCPConnector(ssl=self._context, limit=16)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(attempt: Attempt) -> Attempt | None:
                async with session.post(self._url, json=self._review(account, attempt)) as answer:
                    status = (await answer.json())["status"]
                    assert "evaluationError" not in status, status
                    return attempt if status["allowed"] else None

            return {found for found in await asyncio.gather(*map(one, attempts)) if found}

    def _review(self, account: str, attempt: Attempt) -> dict[str, object]:
        group, resource, *rest = attempt.resource.split("/")
        attributes = {
            "namespace": attempt.namespace,
            "group": group,
            "resource": resource,
            "subresource": rest[0] if rest else "",
            "verb": attempt.verb,
            "name": attempt.name,
        }
        groups = [
            "system:serviceaccounts",
            f"system:serviceaccounts:{self._namespace}",
            "system:authenticated",
        ]
        user = f"system:serviceaccount:{self._namespace}:{account}"
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
        }
