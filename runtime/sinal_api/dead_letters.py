"""Routes of dead letters: what was given up, by cause, and sending a group again."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sinal_api.access import Operator, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.replay import Choice, IdempotencyKey
from sinal_hub.services.cursors import bad_cursor, read_cursor
from sinal_hub.services.replays import Replayed, Replayer, utc_now
from sinal_hub.services.replays import Request as Replay
from sinal_hub.store.replaying import Cause, LetterGroup, ReplayStore

Int4 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class Groups(msgspec.Struct, kw_only=True, frozen=True):
    """Open dead letters by cause, the largest groups first.

    `more` when there are groups beyond the limit.
    """

    groups: list[LetterGroup]
    more: bool


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


def routes(store: ReplayStore, replayer: Replayer) -> APIRouter:
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
        found = await store.groups(caller.scope(tenant), limit=limit + 1)
        return tagged(request, Groups(groups=found[:limit], more=len(found) > limit))

    @router.post("/replay", responses=says(Replayed), summary="Send a group again")
    async def replay(caller: Operator, body: ReplayGroup, key: IdempotencyKey = None) -> Response:
        """One call looks at `limit` letters; go on with `next_cursor`.

        Letters that come meanwhile are left alone.
        """
        tenant = caller.scope(body.tenant)
        until, after = utc_now().astimezone(UTC), 0
        if body.cursor is not None:
            until, last = read_cursor(body.cursor)
            after = _letter(last)
        cause = Cause(
            stage=body.stage,
            reason=body.reason,
            code=body.code,
            subcode=body.subcode,
            destination=body.destination,
        )
        asked = body.model_dump(
            mode="json", exclude_none=True, exclude={"dry_run", "force", "confirm_duplicate"}
        )
        request = Replay(
            caller=caller, tenant=tenant, kind="replay.dead_letters", asked=asked, options=body.options(), key=key,
            dry_run=body.dry_run,
        )  # fmt: skip
        return answer(
            await replayer.group(request, cause, after=after, until=until, limit=body.limit)
        )

    return router


def _letter(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise bad_cursor()
    return int(text)
