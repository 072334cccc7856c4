"""Who may call the operations API, and what they see.

Keys come as `Authorization: Bearer …`. The admin key of the settings is the platform's first; it
makes the others, each of a role and, mostly, of one tenant. What a caller sees is
`sinal_hub.services.callers`.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Protocol

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPBearer
from pydantic import SecretStr

from sinal_core.postgres.errors import StoreError
from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import Forbidden
from sinal_hub.services.keys import digest
from sinal_hub.store.operations import KeyOwner, Role

RANK: dict[Role, int] = {"viewer": 1, "operator": 2, "admin": 3}
_BEARER = HTTPBearer(
    auto_error=False, description="The admin key, or one made by POST /api/v1/keys."
)


class Keys(Protocol):
    """Where keys are looked up; `store.operations.OperationsStore` in production."""

    async def owner_of(self, key_sha256: str) -> KeyOwner | None:
        """Whose key it is, if it is one and still good."""
        ...


class Access:
    """Checks the key of a request; without a configured admin key only keys of the store get in."""

    def __init__(self, admin_key: SecretStr | None, keys: Keys) -> None:
        self._admin = admin_key.get_secret_value() if admin_key is not None else ""
        self._keys = keys

    async def admit(self, presented: str | None) -> Caller:
        """Who it is; raises 401. The admin key works while the store is away."""
        scheme, _, key = (presented or "").partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            key = key.strip()
            if self._admin and hmac.compare_digest(digest(key), digest(self._admin)):
                return Caller(actor="admin_key", role="admin", tenant=None)
            owner = await self._keys.owner_of(digest(key))
            if owner is not None:
                return Caller(actor=owner.id, role=owner.role, tenant=owner.tenant_id)
        raise HTTPException(
            401,
            "a valid key is needed: send `Authorization: Bearer <key>`",
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def still(self, presented: str | None, caller: Caller) -> bool:
        """Whether a key that was admitted is good yet, and its caller's.

        True while the store does not say.
        """
        try:
            return await self.admit(presented) == caller
        except HTTPException:
            return False
        except StoreError:
            return True


async def admitted(request: Request, _: Annotated[object, Security(_BEARER)] = None) -> Caller:
    """Dependency of every route that shows data: any role."""
    access: Access = request.app.state.access
    return await access.admit(request.headers.get("authorization"))


async def operating(caller: Annotated[Caller, Depends(admitted)]) -> Caller:
    """Dependency of routes that change what is sent."""
    return _at_least("operator", caller)


async def administering(caller: Annotated[Caller, Depends(admitted)]) -> Caller:
    """Dependency of routes that change keys and funnels."""
    return _at_least("admin", caller)


def _at_least(role: Role, caller: Caller) -> Caller:
    if RANK[caller.role] < RANK[role]:
        raise Forbidden(f"this needs a key of role {role}; yours is of role {caller.role}")
    return caller


Viewer = Annotated[Caller, Depends(admitted)]
Operator = Annotated[Caller, Depends(operating)]
Admin = Annotated[Caller, Depends(administering)]
