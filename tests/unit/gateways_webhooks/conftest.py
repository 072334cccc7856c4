"""Captured deliveries of the six gateways, as bytes and as trees to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinal_hub.gateways import registry
from sinal_hub.model.sale import Sale

ROOT = Path(__file__).parents[2] / "fixtures" / "gateways"


@pytest.fixture(scope="session")
def body() -> Callable[[str], bytes]:
    """The bytes of `<gateway>/<file>`."""
    return lambda name: (ROOT / name).read_bytes()


@pytest.fixture(scope="session")
def tree(body: Callable[[str], bytes]) -> Callable[[str], Any]:
    """The JSON of `<gateway>/<file>`, fresh at every call."""
    return lambda name: json.loads(body(name))


@pytest.fixture(scope="session")
def sale() -> Callable[..., Sale]:
    """The one sale of a payload: of a tree, or of bytes."""

    def parse(gateway: str, payload: Any, **options: Any) -> Sale:
        raw = (
            payload
            if isinstance(payload, bytes)
            else json.dumps(payload, ensure_ascii=False).encode()
        )
        (found,) = registry()[gateway].parse(raw, **options)
        return found

    return parse
