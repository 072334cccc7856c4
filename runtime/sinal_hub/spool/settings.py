"""Settings of the spool."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sinal_core.settings import Group


class SpoolSettings(Group):
    """The spool."""

    spool_dir: Path | None = Field(
        None,
        description="Folder of the edge's spool, one a process; without it a broker that is away "
        "means 503.",
    )
    spool_bytes: int = Field(
        1 << 30, ge=1 << 16, description="Bytes of the disk that the spool may take."
    )
    spool_free_bytes: int = Field(
        256 << 20, ge=0, description="Bytes of the disk that the spool leaves free."
    )
