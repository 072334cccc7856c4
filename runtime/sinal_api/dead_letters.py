"""Routes of dead letters: what was given up, by cause, and sending a group again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sinal_api.access import Operator, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.replay import Choice, IdempotencyKey
from sinal_hub.services.replays import Groups, Replayed, Replayer
from sinal_hub.services.shapes import Cause

Int4 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class ReplayGroup(Choice):
    """Body: what names the group, as the list gives it."""

    tenant: Word | None = None
    stage: Literal["match", "dispatch"]
    reason: Word
    code: Int4 | None = None
    subcode: Int4 | None = None
    destination: Word | None = None
    cursor: str | None = Field(
        None, max_length=512, description="`next_cursor` of the call before."
    )
    limit: int = Field(500, ge=1, le=1_000, description="Dead letters looked at by one call.")


def routes(replayer: Replayer) -> APIRouter:
    """Dead letters."""
    router = APIRouter(prefix="/api/v1/dead-letters", tags=["dead letters"])

    @router.get("", responses=shows(Groups), summary="What was given up, by cause")
    async def groups(
        request: Request,
        caller: Viewer,
        tenant: Word | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Dead letters that nobody has replayed.

        `code` and `subcode` are Meta's, of the last attempt.
        """
        return tagged(request, await replayer.groups(caller, tenant, limit=limit))

    @router.post("/replay", responses=says(Replayed), summary="Send a group again")
    async def replay(caller: Operator, body: ReplayGroup, key: IdempotencyKey = None) -> Response:
        """One call looks at `limit` letters; go on with `next_cursor`.

        Letters that come meanwhile are left alone.
        """
        cause = Cause(
            stage=body.stage,
            reason=body.reason,
            code=body.code,
            subcode=body.subcode,
            destination=body.destination,
        )
        terms = body.terms(key)
        return answer(
            await replayer.group(
                caller, body.tenant, cause, terms, cursor=body.cursor, limit=body.limit
            )
        )

    return router
