"""Routes of what people ask of their data: to be forgotten, to see it, not to be used for ads (LGPD
art. 18).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from sinal_api.access import Admin, Operator
from sinal_api.answers import answer, says, shows, tagged
from sinal_api.filters import Word
from sinal_api.request_body import RequestBody
from sinal_hub.services.privacy import ConsentKept, Exported, PrivacyService
from sinal_hub.services.shapes import Erasure

Text = Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\x00]+$")]


class WhoseData(RequestBody):
    """Body: whose data it is; what is given together is taken as one person."""

    tenant: Word | None = Field(None, description="Needed with a key of the platform.")
    email: Text | None = Field(
        None, description="In clear, or its SHA-256 as Meta has it. It is hashed on arrival."
    )
    phone: Text | None = Field(None, description="Likewise.")
    order_id: Text | None = Field(None, description="The gateway's number of an order.")

    def told(self) -> dict[str, str | None]:
        """What is said of the person."""
        return self.model_dump(exclude={"tenant"})


class WhoseConsent(RequestBody):
    """Body: who consents to ads or no longer does."""

    tenant: Word | None = Field(None, description="Needed with a key of the platform.")
    email: Text | None = None
    phone: Text | None = None
    click_id: Text | None = None
    external_id: Text | None = None
    consent_ads: bool

    def told(self) -> dict[str, str | None]:
        """What is said of the person."""
        return self.model_dump(exclude={"tenant", "consent_ads"})


SCHEMAS = (Erasure, Exported, ConsentKept)


def routes(privacy: PrivacyService) -> APIRouter:
    """Erasure, export, consent."""
    router = APIRouter(prefix="/api/v1/privacy", tags=["privacy"])

    @router.post(
        "/erasures", status_code=202, responses=says(Erasure, status=202), summary="Forget a person"
    )
    async def erase(caller: Admin, body: WhoseData) -> Response:
        """From the answer on nothing of the person comes in; what is there goes within minutes.

        Ask the id how far.
        """
        return answer(await privacy.forget(caller, body.tenant, body.told()), status=202)

    @router.get("/erasures/{erasure_id}", responses=shows(Erasure), summary="How far an erasure is")
    async def erasure(request: Request, caller: Admin, erasure_id: Word) -> Response:
        """`counts` says what was found where; it names nobody."""
        return tagged(request, await privacy.erasure(caller, erasure_id))

    @router.post("/exports", responses=says(Exported), summary="Everything kept of a person")
    async def export(caller: Admin, body: WhoseData) -> Response:
        """Reads whole tables: it may take a minute on a large tenant."""
        return answer(await privacy.export(caller, body.tenant, body.told()))

    @router.post(
        "/consent", responses=says(ConsentKept), summary="Withdraw consent to ads, or give it"
    )
    async def consent(caller: Operator, body: WhoseConsent) -> Response:
        """Withdrawing stops what waits (`withheld: no_consent`) and holds for what comes, until it
        is given again.
        """
        return answer(
            await privacy.consent(caller, body.tenant, body.told(), granted=body.consent_ads)
        )

    return router
