"""What Jobs of the chart run, and what a person runs beside it: `sinal install`, `sinal keyring`."""

from __future__ import annotations

import asyncio
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from sinal_cli.offline import complain

if TYPE_CHECKING:
    from sinal_operator.cluster.client import Client

install = App(name="install", help="Before and after an installation in a cluster; the chart's Jobs run this.")
keyring = App(name="keyring", help="The keys that seal plans.")

PASSWORDS = ("nats-password", "postgres-password", "worker-password", "redis-password")


@install.command
def prepare(
    *,
    namespace: str,
    release: str,
    keyring: str | None = None,
    admin_key: str | None = None,
    passwords: str | None = None,
    definitions: bool = False,
    external_metrics: str | None = None,
) -> int:
    """Check that the cluster is fit, then make the Secrets that are not there yet; exit 1 with what helps.

    Parameters
    ----------
    namespace
        Namespace of the installation.
    release
        Its name, for the label of what is made.
    keyring
        SECRET/KEY of the keyring to make if it is missing.
    admin_key
        SECRET/KEY of the operations API's first key to make if it is missing.
    passwords
        Secret with passwords of the evaluation services to make if it is missing.
    definitions
        Check that the custom resources are defined.
    external_metrics
        Service that is to serve external metrics: check that nobody else does.
    """
    from sinal_crds.keyring import Keyring
    from sinal_operator import install as cluster

    wanted = {
        **_entry(keyring, lambda: Keyring.generate().to_json()),
        **_entry(admin_key, _password),
        **({passwords: dict.fromkeys(PASSWORDS, _password)} if passwords else {}),
    }

    async def work(client: Client) -> None:
        if definitions:
            await cluster.definitions_served(client)
        if external_metrics:
            await cluster.external_metrics_ours(client, namespace, external_metrics)
        for name, contents in wanted.items():
            made = await cluster.ensure(client, namespace, name, contents, release=release)
            print(f"Secret {namespace}/{name}: {'made' if made else 'was there'}", flush=True)

    return _with_cluster(work)


@install.command
def verify(*urls: str, timeout: float = 60.0) -> int:
    """Ask each URL until it answers 200; exit 1 if one does not in time.

    Parameters
    ----------
    urls
        Readiness URLs of the services.
    timeout
        Seconds for all of them.
    """
    deadline = time.monotonic() + timeout
    failed = False
    for url in urls:
        answer = _ask(url)
        while answer != "ready" and time.monotonic() < deadline:
            time.sleep(1)
            answer = _ask(url)
        print(f"{url}: {answer}", flush=True)
        failed |= answer != "ready"
    return int(failed)


@keyring.command
def rotate(
    file: Path | None = None,
    /,
    *,
    secret: str | None = None,
    namespace: str = "default",
    key: str = "keyring.json",
    keep: int = 2,
) -> int:
    """Add a new primary key to a keyring in a file or in a Secret; the newest keys before it still open.

    Restart the runtime first and the operator then: who has only the old keyring can't open what the new key sealed.

    Parameters
    ----------
    file
        Keyring in a file.
    secret
        Name of the Secret that holds it, in the cluster of KUBECONFIG.
    namespace
        Namespace of that Secret.
    key
        Key of the keyring in that Secret.
    keep
        How many earlier keys still open what they sealed.
    """
    if (file is None) == (secret is None):
        complain("give a file or --secret, one of them")
        return 2
    if file is not None:
        return _rotate_file(file, keep)

    async def work(client: Client) -> None:
        from sinal_operator.install import rotate_keyring

        primary = await rotate_keyring(client, namespace, str(secret), key, keep=keep)
        print(f"Secret {namespace}/{secret}: new primary key {primary}; restart the runtime, then the operator")

    return _with_cluster(work)


def _rotate_file(file: Path, keep: int) -> int:
    from sinal_crds.keyring import Keyring

    try:
        rotated = Keyring.from_json(file.read_bytes()).rotate(keep=keep)
    except (OSError, ValueError) as error:
        complain(f"{file}: {error}")
        return 1
    fresh = file.with_name(file.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(rotated.to_json())
    fresh.replace(file)
    print(f"{file}: new primary key {rotated.primary}; restart the runtime, then the operator")
    return 0


def _with_cluster(work: Callable[[Client], Awaitable[None]]) -> int:
    """Do it with a client; 0, or 1 with a message that says what helps."""
    from sinal_operator.cluster.client import Client, Refused, Unreachable
    from sinal_operator.install import Malformed, Unfit

    async def whole() -> None:
        client = Client()
        try:
            await work(client)
        finally:
            await client.close()

    try:
        asyncio.run(whole())
    except (Malformed, Unfit, Refused, Unreachable) as error:
        complain(str(error))
        return 1
    return 0


def _entry(place: str | None, make: Callable[[], bytes]) -> Mapping[str, Mapping[str, Callable[[], bytes]]]:
    """`SECRET/KEY` as what that Secret is to hold."""
    if place is None:
        return {}
    name, _, key = place.partition("/")
    return {name: {key: make}}


def _password() -> bytes:
    return secrets.token_hex(24).encode()  # goes into URLs as it is


def _ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a person's or the chart's URL
            return "ready" if answer.status == 200 else f"answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"answers {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"does not answer: {error}"
