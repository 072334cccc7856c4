"""The version before, charts and code, as they were packaged; see tests/e2e/previous/README.md."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "e2e" / "previous"
VALUES = sorted((FOLDER / "values").glob("*.yaml"))
_MIGRATIONS = "sinal_runtime/store/migrations/"  # as that version called it


def chart(name: str) -> Path:
    """The one package of a chart."""
    (found,) = FOLDER.glob(f"{name}-[0-9]*.tgz")
    return found


def wheel() -> Path:
    """The one package of the code."""
    (found,) = FOLDER.glob("*.whl")
    return found


def migrations() -> dict[int, str]:
    """SHA-256 of each of its migrations, by number."""
    with zipfile.ZipFile(wheel()) as archive:
        names = [
            name
            for name in archive.namelist()
            if name.startswith(_MIGRATIONS) and name.endswith(".sql")
        ]
        return {
            int(Path(name).name[:4]): hashlib.sha256(archive.read(name)).hexdigest()
            for name in names
        }
