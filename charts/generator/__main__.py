"""`python -m charts.generator`: write everything that is made."""

from __future__ import annotations

import shutil
from pathlib import Path

from sinal_crds.rights import users
from sinal_crds.schema import MANIFESTS

from charts.generator import files

CHARTS = Path(__file__).resolve().parents[1]
_BEGIN, _END = "<!-- values -->\n", "<!-- /values -->\n"


def made() -> dict[Path, str]:
    """Every generated file with its text."""
    chart, definitions = CHARTS / "sinal", CHARTS / "sinal-crds"
    readme = (chart / "README.md").read_text(encoding="utf-8")
    before, rest = readme.split(_BEGIN)
    found = {
        chart / "values.yaml": files.values(),
        chart / "values.schema.json": files.schema(),
        chart / "README.md": before + _BEGIN + files.table() + _END + rest.split(_END)[1],
    }
    found[chart / "files" / "nats-users.conf"] = f"# {files.MADE_OF_RIGHTS}\n{users()}\n"
    for one in (chart / "Chart.yaml", definitions / "Chart.yaml"):
        found[one] = files.chart(one.read_text(encoding="utf-8"))
    for path in sorted(MANIFESTS.glob("*.yaml")):
        found[definitions / "templates" / path.name] = files.definition(
            path.read_text(encoding="utf-8")
        )
    return found


def main() -> None:
    """Write them, and drop definitions of kinds that are gone."""
    shutil.rmtree(CHARTS / "sinal-crds" / "templates", ignore_errors=True)
    for path, text in made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
