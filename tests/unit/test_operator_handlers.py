"""What Kopf is told: names of our own, no back-off of minutes, and handlers that stay in the event
loop.
"""

from __future__ import annotations

import inspect
from typing import Any, cast

import kopf

from sinal_operator.cluster import handlers


class Nothing:
    """Stands for parts that are not called here."""


def registry() -> kopf.OperatorRegistry:
    parts: Any = Nothing()
    return handlers.registry(parts, parts, parts, parts, parts, patience_s=1)


def test_no_handler_runs_in_a_thread() -> None:
    """Kopf runs plain functions in threads; the mirror is not a thing of several threads."""
    found = cast(Any, registry())
    every = [*found._watching.get_all_handlers(), *found._changing.get_all_handlers()]
    assert len(every) == 7
    assert all(inspect.iscoroutinefunction(handler.fn) for handler in every)


def test_only_tenants_get_a_finalizer() -> None:
    found = cast(Any, registry())
    (deleting,) = found._changing.get_all_handlers()
    assert deleting.selector.any_name == "tenants" or deleting.selector.plural == "tenants"


def test_names_are_ours_and_nothing_waits_for_minutes() -> None:
    chosen = handlers.settings()
    assert chosen.persistence.finalizer == "sinal.dev/finalizer"
    assert chosen.posting.enabled is False
    assert chosen.networking.request_timeout is not None
    assert chosen.networking.request_timeout <= 60
    assert max(cast(Any, chosen.networking.error_backoffs)) <= 10
    assert chosen.execution.default_backoff <= 10
