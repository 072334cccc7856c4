"""The frame of every kind: apiVersion, kind, metadata, spec, and a status that people do not
write.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from sinal_crds.models.common import Metadata, Model


class Condition(BaseModel):
    """One aspect of an object's state, as Kubernetes defines conditions."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, use_attribute_docstrings=True)

    # bounds and patterns are those of metav1.Condition
    type: Annotated[str, Field(max_length=316)]
    """Ready, Provisioned, RoutesAccepted, CredentialsValid, Delivering, Receiving or Paused."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the object that was judged."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When `status` last changed."""
    reason: Annotated[
        str,
        Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
    ]
    """One CamelCase word for programs."""
    message: Annotated[str, Field(max_length=32768)]
    """A sentence for people."""


class Status(BaseModel):
    """What the operator saw; written by the operator only."""

    model_config = ConfigDict(
        alias_generator=to_camel, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """Generation of the object that this status speaks of."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = []
    """State in the usual form: `kubectl wait --for=condition=Ready` works."""


class Manifest(Model):
    """An object as a person writes it.

    A status, such as `kubectl get -o yaml` gives, is accepted and dropped.
    """

    api_version: Literal["sinal.dev/v1alpha1"]
    kind: str
    metadata: Metadata

    @model_validator(mode="before")
    @classmethod
    def _drop_status(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if key != "status"}

    @property
    def namespace(self) -> str:
        """Namespace of the object."""
        return self.metadata.namespace

    @property
    def name(self) -> str:
        """Name of the object."""
        return self.metadata.name

    @property
    def rotation(self) -> str:
        """Generation of minted keys: whatever a person wrote into the annotation
        `sinal.dev/rotate`.
        """
        return self.metadata.annotations.get("sinal.dev/rotate", "")

    @property
    def heir_of(self) -> str:
        """Name of the Tenant of this namespace that it takes the place of: the annotation
        `sinal.dev/heir-of`.
        """
        return self.metadata.annotations.get("sinal.dev/heir-of", "")
