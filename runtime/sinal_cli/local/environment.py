"""`<data>/env`: addresses, keys and webhook URLs of a running stack as shell variables, for its
owner to source.
"""

from __future__ import annotations

import re
import shlex
import sysconfig
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sinal_cli.data_folder import write_private

FILE = "env"
USUAL = "hotmart"  # whose webhook the pages try first, where there is one


def write(folder: Path, ready: Mapping[str, Any], chosen: Mapping[str, str]) -> Path:
    """Write the file, readable by its owner only; `chosen` are variables of the first try."""
    path = folder / FILE
    write_private(path, text(ready, chosen).encode())
    return path


def text(ready: Mapping[str, Any], chosen: Mapping[str, str]) -> str:
    """The file's lines: POSIX sh, nothing but `export` and the PATH."""
    found = {
        "SINAL_API_URL": ready["api"],
        "SINAL_API_KEY": ready["admin_key"],
        "INGEST": ready["ingest"],
        "API": ready["api"],
        "API_KEY": ready["admin_key"],
        **({"SANDBOX": ready["sandbox"]} if "sandbox" in ready else {}),
        **chosen,
        **webhooks(ready),
    }
    lines = ["# Written by `sinal up`. Source it: . " + FILE]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in found.items()]
    place = shlex.quote(scripts())
    # Sourced twice, it must not make the PATH longer.
    lines += [f'case ":$PATH:" in *:{place}:*) ;; *) export PATH={place}:"$PATH" ;; esac']
    return "\n".join(lines) + "\n"


def webhooks(ready: Mapping[str, Any]) -> dict[str, str]:
    """`WEBHOOK_URL_<NAME>` each, with the tenant's slug before the name where two have one of that
    name.

    `WEBHOOK_URL` alone is Hotmart's, or the first there is.
    """
    hooks = [
        (slug, name, hook)
        for slug, tenant in ready["tenants"].items()
        for name, hook in tenant["webhooks"].items()
    ]
    often = Counter(name for _, name, _ in hooks)
    found: dict[str, str] = {}
    usual = next(
        (hook for _, _, hook in hooks if hook["gateway"] == USUAL), hooks[0][2] if hooks else None
    )
    if usual is not None:
        found["WEBHOOK_URL"] = usual["url"]
    for slug, name, hook in hooks:
        found[variable(name if often[name] == 1 else f"{slug}_{name}")] = hook["url"]
    return found


def scripts() -> str:
    """The folder that `sinal` is installed in."""
    return sysconfig.get_path("scripts")


def variable(name: str) -> str:
    """The variable of an integration's webhook URL."""
    return "WEBHOOK_URL_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
