"""GatewayIntegration: one payment gateway's account that posts its sales to one funnel."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field
from pydantic_core import PydanticKnownError

from sinal_crds.models.common import SET, Model, Name, Rule, SecretReference, unique
from sinal_crds.models.manifest import Manifest, Status

Gateway = Literal[
    "hotmart",
    "kiwify",
    "stripe",
    "perfectpay",
    "appmax",
    "braip",
    "kirvano",
    "cakto",
    "monetizze",
    "pushinpay",
    "syncpay",
    "eduzz",
    "ticto",
    "lastlink",
    "shopify",
    "yampi",
    "cartpanda",
    "mercadopago",
    "pagbank",
]
# They send nothing that could be checked: the unguessable webhook URL is all the proof there is.
UNSIGNED: tuple[Gateway, ...] = ("appmax", "syncpay", "cartpanda", "kirvano")

SHIPPED: tuple[Gateway, ...] = get_args(Gateway)
# `x-` and the name of a gateway of another package, which only the runtime that has it installed
# can know.
OUTSIDE = "x-"
_OUTSIDE_PATTERN = r"x-[a-z0-9]{2,30}"
# a structural schema can't mix an enum with a pattern
GATEWAY_PATTERN = f"^({'|'.join(SHIPPED)}|{_OUTSIDE_PATTERN})$"


def _known(word: str) -> str:
    """Refuse a word that is none, with all that are; as an enum does."""
    if word not in SHIPPED and not re.fullmatch(_OUTSIDE_PATTERN, word):
        expected = ", ".join([*map(repr, SHIPPED), "'x-<name of an installed outside gateway>'"])
        raise PydanticKnownError("literal_error", {"expected": expected})
    return word


GatewayWord = Annotated[
    str,
    Field(json_schema_extra={"pattern": GATEWAY_PATTERN, "maxLength": 32}),
    AfterValidator(_known),
]
ProductId = Annotated[str, Field(min_length=1, max_length=128)]
Products = Annotated[
    list[ProductId], Field(max_length=200, json_schema_extra=SET), AfterValidator(unique)
]


def is_outside(gateway: str) -> bool:
    """Whether it is a gateway of another package.

    How the runtime calls it stands behind the prefix.
    """
    return gateway.startswith(OUTSIDE)


class IntegrationSpec(Model):
    """Whose sales come in, and where they belong."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.gateway in {list(UNSIGNED)!r} || self.gateway.startsWith('{OUTSIDE}') || "
            "has(self.credentialsSecretRef)",
            message="is required: this gateway proves its deliveries with a secret; "
            "put the one from its panel into a Secret and name it here",
            field="credentialsSecretRef",
            holds=lambda i: (
                i.gateway in UNSIGNED
                or is_outside(i.gateway)
                or i.credentials_secret_ref is not None
            ),
        ),
        Rule(
            cel=f"!(self.gateway in {[OUTSIDE + name for name in SHIPPED]!r})",
            message="ships with Sinal: write it without x-",
            field="gateway",
            holds=lambda i: (
                i.gateway.removeprefix(OUTSIDE) not in SHIPPED or not is_outside(i.gateway)
            ),
        ),
        Rule(cel="self.tenantRef == oldSelf.tenantRef", message="is immutable", field="tenantRef"),
        Rule(
            cel="self.gateway == oldSelf.gateway",
            message="is immutable: it is part of the webhook URL; create another "
            "GatewayIntegration",
            field="gateway",
        ),
    )

    tenant_ref: Name
    """Name of the Tenant, in the same namespace, that owns it. Immutable."""
    funnel_ref: Name
    """Name of the Funnel, of the same tenant, that the sales belong to."""
    gateway: GatewayWord
    """The payment gateway; `x-` and a name for one that an installed package brings. Immutable: it
    is part of the webhook URL."""
    credentials_secret_ref: SecretReference | None = None
    """Secret with what proves the gateway's deliveries; its keys are in the gateways' reference.
    Not needed for appmax, syncpay, cartpanda and kirvano, which send no proof; of an outside
    gateway's Secret every key is taken."""
    products: Products = Field(default_factory=list)
    """Ids of the products whose sales belong to the funnel. Default: all of the account."""
    suspended: bool = False
    """Takes no deliveries: the gateway is answered 503, so that it delivers again. No sale is read
    from its API."""


class IntegrationStatus(Status):
    """What the operator saw."""

    webhook_url: Annotated[str | None, Field(alias="webhookURL")] = None
    """URL to paste into the gateway's panel. It holds an unguessable segment: treat it as a
    secret."""
    also_taken: str | None = None
    """Which other URL is taken too, and until when: after the platform's mint key was rotated."""
    last_delivery: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    """When the gateway last delivered."""
    rejects: int | None = None
    """Deliveries of the last 24 hours that failed their check."""
    drift: int | None = None
    """Deliveries of the last 24 hours that the adapter did not fully understand."""


class GatewayIntegration(Manifest):
    """One payment gateway's account that posts its sales to one funnel."""

    kind: Literal["GatewayIntegration"]
    spec: IntegrationSpec
    status: IntegrationStatus | None = None
