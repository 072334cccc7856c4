"""Takes out of a folder of packages what no role imports: `python prune.py SITE_PACKAGES`. Run by sinal.Dockerfile.

Kubernetes' own client holds two copies of a class for every kind, 72 MB of text. Roles take its connection and never
its classes, but for three that Kopf looks at; tests/cluster holds them to that
(test_roles_that_ask_the_cluster_start_small). RECORD then lists what is there, and no more.
"""

from __future__ import annotations

import sys
from pathlib import Path

GENERATED = ("client/api", "client/models", "aio/client/api", "aio/client/models")  # of the package kubernetes
KEPT = {"__init__.py"} | {f"v1_{name}.py" for name in ("managed_fields_entry", "object_meta", "owner_reference")}


def prune(packages: Path) -> int:
    """Remove the generated classes; returns their bytes."""
    gone, size = set(), 0
    for folder in GENERATED:
        for path in sorted((packages / "kubernetes" / folder).rglob("*")):
            if path.is_file() and (path.name not in KEPT or path.parent.name == "__pycache__"):
                size += path.stat().st_size
                gone.add(path.relative_to(packages).as_posix())
                path.unlink()
    (record,) = packages.glob("kubernetes-*.dist-info/RECORD")
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    record.write_text("".join(line for line in lines if line.split(",")[0] not in gone), encoding="utf-8")
    return size


if __name__ == "__main__":
    print(f"pruned {prune(Path(sys.argv[1])) / 1e6:.0f} MB")
