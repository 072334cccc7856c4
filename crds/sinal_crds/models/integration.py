"""GatewayIntegration: one payment gateway's account that posts its sales to one funnel."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

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

ProductId = Annotated[str, Field(min_length=1, max_length=128)]
Products = Annotated[list[ProductId], Field(max_length=200, json_schema_extra=SET), AfterValidator(unique)]


class IntegrationSpec(Model):
    """Whose sales come in, and where they belong."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.gateway in {list(UNSIGNED)!r} || has(self.credentialsSecretRef)",
            message="is required: this gateway proves its deliveries with a secret; "
            "put the one from its panel into a Secret and name it here",
            field="credentialsSecretRef",
            holds=lambda i: i.gateway in UNSIGNED or i.credentials_secret_ref is not None,
        ),
        Rule(cel="self.tenantRef == oldSelf.tenantRef", message="is immutable", field="tenantRef"),
        Rule(
            cel="self.gateway == oldSelf.gateway",
            message="is immutable: it is part of the webhook URL; create another GatewayIntegration",
            field="gateway",
        ),
    )

    tenant_ref: Name
    """Name of the Tenant, in the same namespace, that owns it. Immutable."""
    funnel_ref: Name
    """Name of the Funnel, of the same tenant, that the sales belong to."""
    gateway: Gateway
    """The payment gateway. Immutable: it is part of the webhook URL."""
    credentials_secret_ref: SecretReference | None = None
    """Secret with what proves the gateway's deliveries; its keys are in the gateways' reference. Not needed for
    appmax, syncpay, cartpanda and kirvano, which send no proof."""
    products: Products = Field(default_factory=list)
    """Ids of the products whose sales belong to the funnel. Default: all of the account."""


class IntegrationStatus(Status):
    """What the operator saw."""

    webhook_url: Annotated[str | None, Field(alias="webhookURL")] = None
    """URL to paste into the gateway's panel. It holds an unguessable segment: treat it as a secret."""
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
