"""Who may call the operations API, and what they see.

Keys come as `Authorization: Bearer …`. The admin key of the settings is the platform's first; it
makes the others, each of a role and, mostly, of one tenant. What a caller sees is
`sinal_hub.services.callers`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPBearer

from sinal_hub.services.callers import Caller
from sinal_hub.services.keys import KeyCheck

# For the OpenAPI document only: refused by `admit`, as a problem and in the same words for each key
# that is not good.
_BEARER = HTTPBearer(
    auto_error=False, description="The admin key, or one made by POST /api/v1/keys."
)


class Access:
    """Checks the key that a request shows."""

    def __init__(self, keys: KeyCheck) -> None:
        self._keys = keys

    async def admit(self, presented: str | None) -> Caller:
        """Who it is; raises 401."""
        key = _key(presented)
        caller = await self._keys.caller(key) if key else None
        if caller is None:
            raise HTTPException(
                401,
                "a valid key is needed: send `Authorization: Bearer <key>`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return caller

    async def still(self, presented: str | None, caller: Caller) -> bool:
        """Whether a key that was admitted is good yet, and its caller's.

        True while the store does not say.
        """
        return await self._keys.still(_key(presented), caller)


def _key(presented: str | None) -> str:
    scheme, _, key = (presented or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


async def admitted(request: Request, _: Annotated[object, Security(_BEARER)] = None) -> Caller:
    """Dependency of every route that shows data: any role."""
    access: Access = request.app.state.access
    return await access.admit(request.headers.get("authorization"))


async def operating(caller: Annotated[Caller, Depends(admitted)]) -> Caller:
    """Dependency of routes that change what is sent."""
    caller.needs("operator")
    return caller


async def administering(caller: Annotated[Caller, Depends(admitted)]) -> Caller:
    """Dependency of routes that change keys and funnels."""
    caller.needs("admin")
    return caller


Viewer = Annotated[Caller, Depends(admitted)]
Operator = Annotated[Caller, Depends(operating)]
Admin = Annotated[Caller, Depends(administering)]
