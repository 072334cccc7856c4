"""Who may call the operations API, and what they see.

The admin key sees every tenant. Keys come as `Authorization: Bearer …` and are compared in constant time.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from pydantic import SecretStr


class Access:
    """Checks the key of a request; without a configured admin key nobody gets in."""

    def __init__(self, admin_key: SecretStr | None) -> None:
        self._admin = admin_key.get_secret_value().encode() if admin_key is not None else b""

    def admit(self, presented: str | None) -> None:
        """Raise 401 unless the key is the admin key."""
        scheme, _, key = (presented or "").partition(" ")
        if scheme.lower() != "bearer" or not self._admin or not hmac.compare_digest(key.encode(), self._admin):
            raise HTTPException(
                401,
                "a valid key is needed: send `Authorization: Bearer <admin key>`",
                headers={"WWW-Authenticate": "Bearer"},
            )


def admitted(request: Request) -> None:
    """Dependency of every route that shows data."""
    access: Access = request.app.state.access
    access.admit(request.headers.get("authorization"))


Admitted = Annotated[None, Depends(admitted)]
