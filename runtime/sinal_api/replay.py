"""Routes of replays."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Response
from pydantic import Field

from sinal_api.access import Operator
from sinal_api.answers import answer, says
from sinal_api.filters import Filters, Word
from sinal_api.request_body import RequestBody
from sinal_hub.services.replay_rules import Options
from sinal_hub.services.replays import Replayed, Replayer, Terms

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9._:-]{1,128}$",
        description="The same key with the same request gives the first result and does nothing.",
    ),
]


class Choice(RequestBody):
    """What a replay may do."""

    dry_run: bool = Field(False, description="Only say what would be replayed.")
    force: bool = Field(False, description="Also what was delivered.")
    confirm_duplicate: bool = Field(
        False,
        description="Also what was delivered more than 48 hours ago, and will probably "
        "count twice at Meta.",
    )

    def terms(self, key: str | None) -> Terms:
        """As the service takes it."""
        choice = {"dry_run", "force", "confirm_duplicate"}
        return Terms(
            asked=self.model_dump(mode="json", exclude_none=True, exclude=choice),
            options=Options(force=self.force, confirm_duplicate=self.confirm_duplicate),
            key=key,
            dry_run=self.dry_run,
        )


class ReplayOne(Choice):
    """Body of a replay of one event; may be absent."""

    destination: Word | None = Field(None, description="Only the delivery to this destination.")


class ReplayMany(Filters, Choice):
    """Body of a bulk replay: a filter. Without `outcome` it takes what is dead."""

    model_config = RequestBody.model_config

    destination: Word | None = Field(
        None,
        description="Only deliveries to this destination: `outcome` and `reason` are theirs then, "
        "not the event's.",
    )
    cursor: str | None = Field(
        None, max_length=512, description="`next_cursor` of the call before."
    )
    limit: int = Field(200, ge=1, le=500, description="Events looked at by one call.")


def routes(replayer: Replayer) -> APIRouter:
    """Replays of one event and of many."""
    router = APIRouter(prefix="/api/v1/replay", tags=["replay"])

    @router.post("/{event_id}", responses=says(Replayed), summary="Send one event again")
    async def one(
        caller: Operator, event_id: Word, body: ReplayOne | None = None, key: IdempotencyKey = None
    ) -> Response:
        """The event keeps its id at Meta. 409 says why nothing can be sent.

        Nothing is sent then.
        """
        wanted = body or ReplayOne()
        terms = wanted.terms(key)
        return answer(await replayer.one(caller, event_id, terms, destination=wanted.destination))

    @router.post("", responses=says(Replayed), summary="Send many events again")
    async def many(caller: Operator, body: ReplayMany, key: IdempotencyKey = None) -> Response:
        """One call looks at `limit` events; go on with `next_cursor` until it is null.

        `dry_run` only counts.
        """
        filters = msgspec.structs.replace(body.events(body.tenant), destination=body.destination)
        terms = body.terms(key)
        return answer(
            await replayer.many(caller, filters, terms, cursor=body.cursor, limit=body.limit)
        )

    return router
