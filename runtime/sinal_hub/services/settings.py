"""Settings of manifests that are made through the operations API."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from sinal_core.settings import Group


class ManifestFolderSettings(Group):
    """Manifests made through the operations API."""

    manifest_folder: Path | None = Field(
        None,
        description="Where the operations API keeps manifests made through it; a folder the "
        "operator reads.",
    )


class ManifestSettings(ManifestFolderSettings):
    """Manifests in the cluster."""

    manifest_apply: bool = Field(
        False,
        description="Whether the operations API applies manifests made through it to the cluster, "
        "in the tenant's "
        "namespace, by server-side apply as `sinal-api`.",
    )

    @model_validator(mode="after")
    def _manifests_have_one_place(self) -> Self:
        """A manifest in two places would be two owners of one object."""
        if self.manifest_apply and self.manifest_folder is not None:
            raise ValueError(
                "manifest_apply and manifest_folder exclude each other: unset one of them"
            )
        return self
