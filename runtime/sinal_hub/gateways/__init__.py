"""Payment gateways, one module each, registered by being in this folder or by an entry point
`sinal.gateways`.

A gateway module has:

- `NAME`: the word in GatewayIntegration (behind `x-` for one of another package), URL and metrics:
  2 to 30 of a-z0-9;
- `SECRET_KEYS`: keys of its credentials Secret (empty where the gateway sends nothing to check);
- `AUTHENTICATES`: whether its deliveries prove where they come from, so that a tenant's own host
  may take them without a URL token;
- `verify(raw, headers, query, secret) -> bool`: on raw bytes, in constant time, never raising for
  bad input;
- `parse(raw, *, country="BR", clear=False) -> list[Sale]`: pure; raises `NotThisGateway` for a body
  that is no delivery of it.

It may have `is_test(headers) -> bool`, where the panel's test button says so in a header alone;
`MEANINGLESS` (words ignored on purpose) and `CARRIES_CONTACT = False` (no delivery ever holds an
e-mail or a phone): what is as it always was is not drift. It may have `ACCEPTED`, the status (200
to 299) that it takes for "stored"; without it that is 202.

A gateway whose deliveries carry ids only offers `readback` and `parse_readback` as well: see
`sinal_hub.model.readback.ReadsBack`.

Header names are lower case. Modules starting with an underscore are shared parts, not gateways.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from sinal_hub.model.sale import Sale


class NotThisGateway(ValueError):
    """The body is not a delivery of this gateway.

    The message says what is missing, without any value of the body.
    """


@runtime_checkable
class Gateway(Protocol):
    """What a gateway module offers (the module itself is the object)."""

    NAME: str
    SECRET_KEYS: tuple[str, ...]
    AUTHENTICATES: bool

    def verify(
        self,
        raw: bytes,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        secret: Mapping[str, str],
    ) -> bool: ...

    def parse(self, raw: bytes, *, country: str = "BR", clear: bool = False) -> list[Sale]: ...


_NAME = re.compile(r"[a-z0-9]{2,30}")
_PARTS = frozenset({"answers", "kit", "text"})  # modules of this folder that are not gateways


@cache
def registry() -> dict[str, Gateway]:
    """Every known gateway by name.

    A module that breaks the protocol raises TypeError naming what it lacks.
    """
    found: dict[str, Gateway] = {}
    for info in pkgutil.iter_modules(__path__):
        if not info.name.startswith("_") and info.name not in _PARTS:
            _add(found, importlib.import_module(f"{__name__}.{info.name}"), info.name)
    for point in entry_points(group="sinal.gateways"):
        _add(found, point.load(), point.name)
    return found


def _add(found: dict[str, Gateway], module: object, where: str) -> None:
    missing = [
        name
        for name in ("NAME", "SECRET_KEYS", "AUTHENTICATES", "verify", "parse")
        if not hasattr(module, name)
    ]
    if missing:
        raise TypeError(f"gateway {where}: missing {', '.join(missing)}")
    assert isinstance(module, Gateway)  # noqa: S101 - the names were checked above; this is for the type checker
    if not _NAME.fullmatch(module.NAME):
        raise TypeError(
            f"gateway {where}: NAME must be 2 to 30 of a-z and 0-9, as manifests and URLs write it"
        )
    if module.NAME in found:  # a package must not come between a shipped gateway and its sales
        raise TypeError(f"gateway {where}: NAME {module.NAME!r} is taken by another gateway")
    found[module.NAME] = module


def is_test(gateway: Gateway, headers: Mapping[str, str]) -> bool:
    """Whether the headers say that the gateway's panel sent this delivery to try the URL."""
    look: Callable[[Mapping[str, str]], bool] | None = getattr(gateway, "is_test", None)
    return look is not None and look(headers)


def uses_unknown_word(gateway: Gateway, sale: Sale) -> bool:
    """Whether a sale was ignored because its gateway has a word that is new to us, not because it
    means nothing.
    """
    meaningless: frozenset[str] = getattr(gateway, "MEANINGLESS", frozenset())
    return sale.status == "ignored" and sale.event not in meaningless


def carries_contact(gateway: Gateway) -> bool:
    """Whether this gateway's sales tell the buyer's e-mail or phone, so that one without is worth a
    look.
    """
    return bool(getattr(gateway, "CARRIES_CONTACT", True))
