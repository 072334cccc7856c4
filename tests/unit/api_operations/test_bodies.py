"""Bodies of the API have the types that the document names, and no others that look like them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import TypeAdapter, ValidationError

from sinal_api.request_body import RequestBody

LIKE: dict[object, list[object]] = {
    int: [True, "3", 3.5],
    bool: [1, 0, "true", "yes"],
    str: [1, True, ["a"]],
}


def every_body() -> Iterator[type[RequestBody]]:
    """All bodies of the API; what a replay may do is asked for only within others."""
    import sinal_api.app  # noqa: F401  # names them all

    waiting = [RequestBody]
    while waiting:
        for one in waiting.pop().__subclasses__():
            waiting.append(one)
            yield one


BODIES = {body.__name__: body for body in every_body()}


def schema_type(known: dict[str, object]) -> type | None:
    """The one plain type of a property, whether or not it may be null."""
    kinds = [known] + [one for one in known.get("anyOf", []) if isinstance(one, dict)]  # type: ignore[attr-defined]
    names = {"integer": int, "boolean": bool, "string": str}
    return next((names[str(k["type"])] for k in kinds if k.get("type") in names), None)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_value_of_another_type_is_refused_and_named(name: str) -> None:
    body = TypeAdapter(BODIES[name])
    properties = BODIES[name].model_json_schema()["properties"]
    tried = 0
    for field, known in properties.items():
        for wrong in LIKE.get(schema_type(known), []):
            with pytest.raises(ValidationError) as refused:
                body.validate_python({field: wrong})
            assert (field,) in {error["loc"] for error in refused.value.errors()}, (field, wrong)
            tried += 1
    assert tried


def test_times_are_text_and_still_read() -> None:
    body = BODIES["ReplayMany"].model_validate({"since": "2026-11-22T15:04:05Z", "limit": 3})
    assert body.model_dump()["since"].isoformat() == "2026-11-22T15:04:05+00:00"
