"""Routes of the review queue."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sinal_api.access import Operator, Viewer
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word as Text
from sinal_api.request_body import RequestBody
from sinal_hub.services.reviews import Reviewed, Reviewer, Word
from sinal_hub.services.shapes import Page


class Rejection(RequestBody):
    """Body of a rejection; may be absent."""

    then: Literal["send", "drop"] = Field(
        "send",
        description="send: the conversion goes to Meta without the click's data. drop: it "
        "does not go at all.",
    )


def routes(reviewer: Reviewer) -> APIRouter:
    """Sales that wait for a person."""
    router = APIRouter(prefix="/api/v1/review", tags=["review"])

    @router.get("", responses=shows(Page), summary="Sales that wait for a person, newest first")
    async def queue(
        request: Request,
        caller: Viewer,
        tenant: Text | None = None,
        funnel: Text | None = None,
        cursor: Annotated[str | None, Query(max_length=512)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        """Their match scored between the funnel's thresholds, and its policy is Hold.

        Signals are in the detail.
        """
        page = await reviewer.queue(caller, tenant, funnel=funnel, cursor=cursor, limit=limit)
        return tagged(request, page)

    @router.post("/{event_id}/accept", responses=says(Reviewed), summary="It is this click's sale")
    async def accept(caller: Operator, event_id: Text) -> Response:
        """Everything of the order that was held goes to Meta with the click's data."""
        return answer(await reviewer.say(caller, event_id, "accept"))

    @router.post(
        "/{event_id}/reject", responses=says(Reviewed), summary="It is not this click's sale"
    )
    async def reject(caller: Operator, event_id: Text, body: Rejection | None = None) -> Response:
        """Everything of the order that was held goes to Meta without the click's data, or
        nowhere.
        """
        dropped = body is not None and body.then == "drop"
        word: Word = "drop" if dropped else "reject"
        return answer(await reviewer.say(caller, event_id, word))

    return router
