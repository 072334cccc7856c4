"""`python -m sinal_sandbox`: the Meta Graph emulator as a process of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sinal_sandbox.config import SandboxConfig
from sinal_sandbox.server import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    0 then, 1 if the address or the data file can't be had, 2 for a bad option.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        config = _config(options)
    except ValueError as error:
        parser.error(str(error))
    try:
        run(config, host=options.host, port=options.port)
    except OSError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


def _config(options: argparse.Namespace) -> SandboxConfig:
    return SandboxConfig(
        tokens=frozenset(options.token),
        revoked=frozenset(options.revoked_token),
        pixels=frozenset(options.pixel),
        keep=options.keep,
        keep_bytes=options.keep_mb << 20,
        expired_version=options.expired_version,
        messaging_events=options.messaging_events,
        data_file=options.data,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sinal_sandbox", description="Meta Graph API emulator."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=8082, help="port; 0 takes a free one (default: %(default)s)")
    add(
        "--token",
        action="append",
        default=[],
        help="valid token, repeatable; without it any token is valid",
    )
    add(
        "--revoked-token",
        action="append",
        default=[],
        help="token answered with 190/460, repeatable",
    )
    add(
        "--pixel",
        action="append",
        default=[],
        help="known pixel, repeatable; without it any digits",
    )
    add(
        "--keep",
        type=int,
        default=SandboxConfig.keep,
        help="events that stay queryable (default: %(default)s)",
    )
    add(
        "--keep-mb",
        type=int,
        default=SandboxConfig.keep_bytes >> 20,
        help="bound of their JSON (default: %(default)s)",
    )
    add("--data", type=Path, help="journal of accepted events, read again at start")
    add(
        "--expired-version",
        choices=("refuse", "upgrade"),
        default="refuse",
        help="calls of an expired Graph version",
    )
    add(
        "--messaging-events",
        choices=("documented", "live"),
        default="documented",
        help="event names allowed for business_messaging: the documentation's, or those seen to "
        "work",
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
