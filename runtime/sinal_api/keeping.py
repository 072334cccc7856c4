"""How what a sink says against a manifest is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from sinal_api.problems import Refused
from sinal_api.sink import (
    AlreadyThere,
    InvalidForCluster,
    ManifestSink,
    NotAllowed,
    OwnedByOthers,
    Refusal,
    SinkUnavailable,
)

_STATUS_OF: dict[type[Refusal], int] = {OwnedByOthers: 409, NotAllowed: 403, InvalidForCluster: 422}


def place(sink: ManifestSink | None) -> ManifestSink:
    """Where manifests are kept; raises 501 where none is set."""
    if sink is None:
        raise HTTPException(
            501,
            "this API has no place to keep manifests: apply the manifest in your cluster or repository, or set "
            "SINAL_MANIFEST_APPLY so that it applies them itself, or SINAL_MANIFEST_FOLDER to a folder that the "
            "operator reads",
        )
    return sink


@contextmanager
def keeping() -> Iterator[None]:
    """Around a call of a sink: what it raises becomes the answer."""
    try:
        yield
    except AlreadyThere as error:
        raise HTTPException(409, f"{error} is there already and says something else") from None
    except Refusal as error:
        errors = [{"field": one.field, "message": one.message} for one in error.faults]
        raise Refused(_STATUS_OF[type(error)], _detail(error), errors) from None
    except SinkUnavailable as error:
        raise HTTPException(503, str(error), headers={"Retry-After": "10"}) from None


def _detail(error: Refusal) -> str:
    """For a conflict the object and its first field; else the cluster's own words."""
    if isinstance(error, OwnedByOthers) and error.faults:
        return f"{error}: {error.faults[0].field} {error.faults[0].message}"
    return str(error)
