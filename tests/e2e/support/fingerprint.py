"""Which code of Sinal is installed, as one digest: of this checkout, of a wheel, or inside a pod by
`python -c`.

It needs nothing but the standard library, because its text is what a pod is given to run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

# Of the present version and of the one before, whose code is nearly all in sinal_runtime. The image
# has no sandbox.
_NAMES = "api cli core crds hub metrics_adapter operator runtime"
PACKAGES = tuple(f"sinal_{name}" for name in _NAMES.split())
KINDS = (".py", ".sql")


def digest(files: Iterable[tuple[str, bytes]]) -> str:
    """One SHA-256 over names and contents, in whatever order they come."""
    each = sorted(f"{hashlib.sha256(content).hexdigest()} {name}" for name, content in files)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


def installed() -> Iterator[tuple[str, bytes]]:
    """Sources of those of our packages that Python finds here."""
    for package in PACKAGES:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            continue  # not of this version
        root = Path(found.origin).parent
        for path in root.rglob("*"):
            if path.suffix in KINDS:
                yield f"{package}/{path.relative_to(root)}", path.read_bytes()


def packed(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """The same of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.split("/")[0] in PACKAGES and name.endswith(KINDS):
                yield name, archive.read(name)


if __name__ == "__main__":
    print(digest(installed()))
