"""What every kind shares: the strict base model, rules in Python and in CEL, metadata, references,
text types.

Invariant: a rule is written once, with its CEL beside its Python, so that the API server and
`sinal manifests check` judge alike. Patterns keep to what RE2 (API server) and
Rust's regex (pydantic) read the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from sinal_crds.names import NAME_PATTERN, SLUG_PATTERN

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST_PATTERN = rf"^{_LABEL}(\.{_LABEL})*$"
LANDING_HOST_PATTERN = rf"^(\*\.)?{_LABEL}(\.{_LABEL})*$"
SECRET_NAME_PATTERN = HOST_PATTERN  # Secrets are named by DNS subdomains
SECRET_KEY_PATTERN = r"^[-._a-zA-Z0-9]+$"  # noqa: S105 - the form of a key's name
COUNTRY_PATTERN = r"^[A-Z]{2}$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"
TIMEZONE_PATTERN = r"^[A-Za-z]+([_+-]?[A-Za-z0-9]+)*(/[A-Za-z0-9]+([_+-][A-Za-z0-9]+)*){0,2}$"

# What a person should write instead, by pattern; used in errors, where the pattern itself would
# help nobody.
PATTERN_HELP: dict[str, str] = {
    NAME_PATTERN: "use at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    SLUG_PATTERN: "use at most 40 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    HOST_PATTERN: "write a lower-case DNS name such as track.loja.example, without scheme, port, "
    "path or wildcard",
    LANDING_HOST_PATTERN: "write a lower-case host, loja.example or *.loja.example, without "
    "scheme, port or path",
    SECRET_KEY_PATTERN: "use letters, digits, -, _ and . only",
    COUNTRY_PATTERN: "write the two capital letters of ISO 3166-1, such as BR",
    CURRENCY_PATTERN: "write the three capital letters of ISO 4217, such as BRL",
    TIMEZONE_PATTERN: "write an IANA name such as America/Sao_Paulo",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule over several fields.

    `holds` is None where only the API server can judge, by the old object.
    """

    cel: str
    message: str
    field: str = ""  # camelCase path below the model that carries the rule
    holds: Callable[[Any], bool] | None = None

    def validation(self) -> dict[str, str]:
        """The rule as `x-kubernetes-validations` wants it."""
        place = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.cel, "message": f"{self.field} {self.message}".strip(), **place}


class Model(BaseModel):
    """Base of everything a person declares: strict types, no unknown fields, immutable, camelCase
    outside.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """The API server prunes nulls of fields that are not nullable before it sets defaults.

        So do we.
        """
        if not isinstance(data, dict):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.rules:
            handler.resolve_ref_schema(schema)["x-kubernetes-validations"] = [
                rule.validation() for rule in cls.rules
            ]
        return schema

    @model_validator(mode="after")
    def _rules_hold(self) -> Model:
        broken = [rule for rule in self.rules if rule.holds is not None and not rule.holds(self)]
        if broken:
            raise PydanticCustomError(
                "rules", "{count} rules do not hold", {"count": len(broken), "broken": broken}
            )
        return self


def unique(items: list[str]) -> list[str]:
    """Refuse a repeated value, as listType `set` does."""
    for index, item in enumerate(items):
        if item in items[:index]:
            raise PydanticCustomError("duplicate", "{key!r} is listed twice", {"key": item})
    return items


SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=NAME_PATTERN)]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=HOST_PATTERN)]
LandingHost = Annotated[str, Field(min_length=1, max_length=253, pattern=LANDING_HOST_PATTERN)]


class Metadata(BaseModel):
    """The part of an object's metadata that Sinal reads; the rest is left alone."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, strict=True)

    name: Name
    namespace: Name = "default"
    uid: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    annotations: dict[str, str] = {}
    labels: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None}


class SecretReference(Model):
    """A Secret of the same namespace, whole."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=SECRET_NAME_PATTERN)]
    """Name of the Secret, in the same namespace."""


# Every list has a bound: the API server estimates by them what CEL rules may cost, and refuses a
# definition whose rules could cost too much.
Names = Annotated[list[Name], Field(max_length=32, json_schema_extra=SET), AfterValidator(unique)]
Hosts = Annotated[list[Host], Field(max_length=32, json_schema_extra=SET), AfterValidator(unique)]
LandingHosts = Annotated[
    list[LandingHost], Field(max_length=64, json_schema_extra=SET), AfterValidator(unique)
]
