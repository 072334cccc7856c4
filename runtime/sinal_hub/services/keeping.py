"""Keeping manifests: where, and what a sink says against one in the words of services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sinal_hub.services.errors import (
    Conflict,
    Forbidden,
    NotConfigured,
    ServiceError,
    Unavailable,
    Unprocessable,
)
from sinal_hub.services.manifest_sink import (
    AlreadyThere,
    InvalidForCluster,
    ManifestSink,
    NotAllowed,
    OwnedByOthers,
    Refusal,
    SinkUnavailable,
)

_ERROR_OF: dict[type[Refusal], type[ServiceError]] = {
    OwnedByOthers: Conflict,
    NotAllowed: Forbidden,
    InvalidForCluster: Unprocessable,
}


def place(sink: ManifestSink | None) -> ManifestSink:
    """Where manifests are kept; raises NotConfigured where none is set."""
    if sink is None:
        raise NotConfigured(
            "this API has no place to keep manifests: apply the manifest in your cluster or "
            "repository, or set "
            "SINAL_MANIFEST_APPLY so that it applies them itself, or SINAL_MANIFEST_FOLDER to a "
            "folder that the "
            "operator reads",
        )
    return sink


@contextmanager
def keeping() -> Iterator[None]:
    """Around a call of a sink: what it raises becomes an error of services."""
    try:
        yield
    except AlreadyThere as error:
        raise Conflict(f"{error} is there already and says something else") from None
    except Refusal as error:
        raise _ERROR_OF[type(error)](_detail(error), error.faults) from None
    except SinkUnavailable as error:
        raise Unavailable(str(error), retry_after_s=10) from None


def _detail(error: Refusal) -> str:
    """For a conflict the object and its first field; else the cluster's own words."""
    if isinstance(error, OwnedByOthers) and error.faults:
        return f"{error}: {error.faults[0].field} {error.faults[0].message}"
    return str(error)
