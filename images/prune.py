"""Takes out of a folder of packages what no role imports. Run by sinal.Dockerfile.

`python prune.py SITE_PACKAGES` takes the generated classes of Kubernetes' own client, two copies
for every kind, 72 MB of text. Roles take its connection and never its classes, but for three that
Kopf looks at; tests/cluster holds them to that (test_roles_that_ask_the_cluster_start_small).

`python prune.py SITE_PACKAGES PACKAGE ...` takes whole packages of ours. RECORD then lists what is
there, and no more.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

# of the package kubernetes
GENERATED = ("client/api", "client/models", "aio/client/api", "aio/client/models")
KEPT = {"__init__.py"} | {
    f"v1_{name}.py" for name in ("managed_fields_entry", "object_meta", "owner_reference")
}


def prune(packages: Path) -> int:
    """Remove the generated classes; returns their bytes."""
    found = (path for folder in GENERATED for path in _files(packages / "kubernetes" / folder))
    return _take_out(
        packages,
        [path for path in found if path.name not in KEPT or path.parent.name == "__pycache__"],
    )


def remove(packages: Path, name: str) -> int:
    """Remove a package; returns its bytes, raises LookupError if it is not there."""
    size = _take_out(packages, _files(packages / name))
    shutil.rmtree(packages / name)  # folders, which RECORD does not list
    return size


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _take_out(packages: Path, files: Sequence[Path]) -> int:
    """Unlink files, and strike them from the RECORD of the one distribution that brought them."""
    size, gone = (
        sum(path.stat().st_size for path in files),
        {path.relative_to(packages).as_posix() for path in files},
    )
    records = {path: _lines(path) for path in packages.glob("*.dist-info/RECORD")}
    struck = {
        path: [line for line in lines if line.split(",")[0] not in gone]
        for path, lines in records.items()
    }
    brought = [path for path, lines in records.items() if lines != struck[path]]
    if len(brought) != 1:
        raise LookupError(
            f"{len(brought)} distributions in {packages} list the {len(files)} files that are to go"
        )
    for path in files:
        path.unlink()
    brought[0].write_text("".join(struck[brought[0]]), encoding="utf-8")
    return size


def _lines(record: Path) -> list[str]:
    return record.read_text(encoding="utf-8").splitlines(keepends=True)


def main(packages: Path, *names: str) -> None:
    """Remove what the arguments say, and say how much it was."""
    size = sum(remove(packages, name) for name in names) if names else prune(packages)
    print(f"pruned {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
