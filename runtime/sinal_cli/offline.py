"""Commands that need no service: check manifests, parse a payload, hash customer data."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec


def complain(message: str) -> None:
    """One line on standard error; on a terminal folded between words."""
    if not sys.stderr.isatty():
        print(message, file=sys.stderr)
        return
    from rich.text import Text

    from sinal_cli.client.table import folded

    width = shutil.get_terminal_size().columns
    for line in message.splitlines():
        for part in folded(Text(line), width):
            print(part.plain, file=sys.stderr)


def check_manifests(paths: Sequence[Path], *, strict: bool = False) -> int:
    """Print errors and a summary.

    0 without errors, 1 with or without a manifest, 2 for a path that is not there.

    With `strict` a note is an error.
    """
    from sinal_crds.check import check
    from sinal_crds.loading import STDIN

    if not paths:
        complain(
            "give a file or a folder with manifests, for instance: sinal manifests check examples"
        )
        return 2
    missing = [path for path in paths if str(path) != STDIN and not path.exists()]
    if missing:
        complain(f"{missing[0]}: no such file or folder")
        return 2
    report = check(paths)
    for error in report.errors:
        complain(str(error))
    for notice in report.notices:
        complain(f"{'error' if strict else 'note'}: {notice}")
    wrong = len(report.errors) + (len(report.notices) if strict else 0)
    if wrong:
        complain(f"{wrong} error{'s' if wrong > 1 else ''}")
        return 1
    if report.empty:
        looked = (
            ": looked for *.yaml, *.yml and *.json" if any(path.is_dir() for path in paths) else ""
        )
        complain(f"no manifest in {', '.join(map(str, paths))}{looked}")
        return 1
    print(report.summary())
    return 0


def parse_payload(file: Path | None, *, gateway: str, country: str, show_clear: bool) -> int:
    """Print normalised sales of one payload.

    2 for an unknown gateway, file, or a body that is not a delivery of it.
    """
    from sinal_hub.gateways import NotThisGateway, registry
    from sinal_hub.model.sale import MalformedSale, checked

    module = registry().get(gateway)
    if module is None:
        complain(f"unknown gateway {gateway!r}; known: {', '.join(sorted(registry()))}")
        return 2
    if show_clear and not sys.stdout.isatty():
        complain("--show-clear prints personal data and works on a terminal only")
        return 2
    try:
        raw = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as error:
        complain(f"{file}: {error.strerror}")
        return 2
    try:
        sales = checked(module.parse(raw, country=country, clear=show_clear))
    except NotThisGateway as error:
        complain(f"not a delivery of {gateway}: {error}")
        return 2
    except MalformedSale as error:
        complain(f"the adapter of {gateway} gave something that is not a sale: {error}")
        return 2
    print(msgspec.json.format(msgspec.json.encode(sales), indent=2).decode())
    return 0


def hash_identities(*, country: str) -> int:
    """Hash JSON lines of standard input; a line that is no such object is named and ends with 2."""
    from sinal_hub import identity

    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            item: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
            name, value = item["field"], item["value"]
            if not isinstance(name, str):
                raise TypeError("field must be a string")
            text = "" if value is None else str(value)
            normalized = identity.normalise(name, text, country=country)
            hashed = identity.hashed(name, text, country=country)
        except identity.UnknownField as error:
            complain(f"line {number}: {error}")
            return 2
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            complain(f'line {number}: expected {{"field": "…", "value": "…"}}: {error}')
            return 2
        sys.stdout.buffer.write(
            msgspec.json.encode({**item, "normalized": normalized, "sha256": hashed}) + b"\n"
        )
        sys.stdout.buffer.flush()
    return 0
