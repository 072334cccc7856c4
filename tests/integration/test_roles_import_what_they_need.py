"""A role starts in time because it imports what it works with and nothing else.

How long that takes is shown by `bench/start.py`; here is what it is made of. A package of many
modules that a role has not had before fails this test: it may be worth its price, and then it
stands in the table with the reason.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sinal_cli.embedded.process import free_port

from tests.support.imports import PROFILED, imported, large, within
from tests.support.platform import ROLES, Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
LEAST = 10  # modules of a package that is worth a reason
ADAPTER = "metrics-adapter"
ALL = {*ROLES, ADAPTER}
CALLERS = {"match", "dispatch", "api"}
STORE = {"match", "dispatch", "api", "housekeeping"}
PEOPLE = {"ingest", "match", "dispatch", "api", "housekeeping"}

# What may be in a role, and why; it is there in these roles and in no other.
LARGE: dict[str, tuple[set[str], str]] = {
    "aiohttp": (
        CALLERS,
        "dispatch asks Meta with it, read-back the gateways, the API both and a cluster",
    ),
    "anyio": ({"api"}, "FastAPI's threads"),
    "attr": (CALLERS, "aiohttp is made of it"),
    "click": (ALL, "uvicorn imports it for its own command line"),
    "cryptography": (
        ALL - {ADAPTER},
        "plans are sealed; the adapter makes certificates where it has an API server",
    ),
    "fastapi": ({"api"}, "the operations API"),
    "msgspec": (ALL, "plans, events, messages"),
    "nats": (ALL, "the broker"),
    "opentelemetry": (
        {"ingest", "api"},
        "redis-py imports it wherever it is installed; ours is for SINAL_OTLP_ENDPOINT",
    ),
    "phonenumbers": (PEOPLE, "what is hashed is normalised before; the API checks what it replays"),
    "prometheus_client": (ALL, "metrics"),
    "psycopg": (STORE, "PostgreSQL"),
    "psycopg_pool": (STORE, "PostgreSQL"),
    "pydantic": (ALL, "settings; in operator and API, manifests"),
    "pydantic_settings": (ALL, "settings"),
    "redis": ({"ingest", "api"}, "limits that replicas share; the API tells whether it answers"),
    "starlette": (ALL, "probes and metrics"),
    "structlog": (ALL, "logs"),
    "uvicorn": (ALL, "the listener"),
    "yaml": ({"operator", "api"}, "manifests are read"),
}
# Parts of packages, ours too, that no role needs to start: each has its moment or its own process.
NEVER = {
    "cyclopts": "for the whole command line; a role's words are few",
    "rich.console": "for people at a terminal; structlog does without",
    "kopf": "for the operator in a cluster; this one has files",
    "kubernetes": "for roles that ask an API server; none of these does",
    "httpx": "for commands, which ask the operations API",
    "opentelemetry.exporter": "for SINAL_OTLP_ENDPOINT",
    "sentry_sdk": "for SINAL_ERROR_REPORTS_DSN",
    "sinal_cli.demo": "a command of its own",
    "sinal_cli.embedded": "services of `sinal up`",
    "sinal_cli.up": "a command of its own",
    "sinal_sandbox": "never in production",
}
PLANS_ONLY = {"ingest", "match", "dispatch", "housekeeping", ADAPTER}
# pydantic models take 100 ms to build; who reads plans has no use for them
MANIFESTS = "sinal_crds.models"
WORDS = {
    "attr": "cyclopts is made of it",
    "cyclopts": "the command line",
    "rich": "cyclopts writes help with it",
    "markdown_it": "rich renders what cyclopts writes with it",
    "msgspec": "JSON of commands' output",
    "pygments": "rich imports it",
}


@pytest.fixture
async def modules(tmp_path: Path) -> AsyncIterator[dict[str, frozenset[str]]]:
    """What each role has imported when it is ready."""
    settings = {**PROFILED, "SINAL_ADAPTER_EXTERNAL_METRICS": "false"}
    platform = Platform(tmp_path, [EXAMPLES], settings=settings)
    platform.ports[ADAPTER] = free_port()
    try:
        await platform.start()
        platform.start_role(ADAPTER)
        for name, role in platform.roles.items():
            await role.ready(lambda name=name: platform._ready(name))  # type: ignore[misc]
        yield {
            name: imported(role.log.read_text(errors="replace"))
            for name, role in platform.roles.items()
        }
    finally:
        await platform.stop()


async def test_roles_import_what_the_table_says(modules: dict[str, frozenset[str]]) -> None:
    assert modules.keys() == ALL
    found = {role: large(names, least=LEAST) for role, names in modules.items()}
    allowed = {role: {name for name, (roles, _) in LARGE.items() if role in roles} for role in ALL}
    assert {role: found[role] ^ allowed[role] for role in ALL if found[role] != allowed[role]} == {}
    for role, names in modules.items():
        assert {package: within(package, names) for package in NEVER} == {
            package: set() for package in NEVER
        }, role
    assert {role for role, names in modules.items() if within(MANIFESTS, names)} == ALL - PLANS_ONLY


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_a_word_of_the_command_imports_no_role(word: str) -> None:
    command = [sys.executable, "-m", "sinal_cli", word]
    done = subprocess.run(
        command, env={**os.environ, **PROFILED}, capture_output=True, text=True, check=True
    )
    found = imported(done.stderr)
    assert large(found, least=LEAST) <= WORDS.keys()
    assert within("sinal_cli.app", found)
    packages = (
        "sinal_hub",
        "sinal_core",
        "sinal_api",
        "sinal_metrics_adapter",
        "sinal_operator",
        MANIFESTS,
    )
    assert {package: within(package, found) for package in packages} == {
        package: set() for package in packages
    }


@pytest.mark.parametrize("package", [*LARGE, *NEVER, MANIFESTS])
def test_a_package_of_the_tables_is_installed(package: str) -> None:
    """A name that nothing has any more would forbid nothing."""
    assert importlib.util.find_spec(package) is not None
