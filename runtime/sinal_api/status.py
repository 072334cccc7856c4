"""Route of the state of the platform: what `sinal doctor` looks at."""

from __future__ import annotations

from fastapi import APIRouter, Response

from sinal_api.access import Viewer
from sinal_api.answers import answer, says
from sinal_api.filters import Word
from sinal_hub.services.inspection import Inspector, Status


def routes(inspector: Inspector) -> APIRouter:
    """The state of the platform."""
    router = APIRouter(prefix="/api/v1/status", tags=["health"])

    @router.get("", responses=says(Status), summary="What works and what does not, and what to do")
    async def status(caller: Viewer, tenant: Word | None = None, tokens: bool = False) -> Response:
        """`tokens` asks Meta about every access token.

        Without a tenant the first 50 are looked at.
        """
        return answer(await inspector.look(caller, tenant, tokens=tokens))

    return router
