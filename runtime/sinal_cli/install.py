"""What Jobs of the chart run, and what a person runs beside it: `sinal install`, `sinal
keyring`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from sinal_cli.offline import complain

if TYPE_CHECKING:
    from sinal_crds.keyring import Keyring
    from sinal_operator.cluster.client import ApiServerClient

install = App(
    name="install", help="Before and after an installation in a cluster; the chart's Jobs run this."
)
keyring = App(
    name="keyring", help="The keys that seal plans, and those that webhook URLs are made of."
)

PASSWORDS = ("nats-password", "postgres-password", "worker-password", "redis-password")


@install.command
def prepare(
    *,
    namespace: str,
    release: str,
    keyring: str | None = None,
    admin_key: str | None = None,
    passwords: str | None = None,
    nats_users: str | None = None,
    api_login: str | None = None,
    keyring_parts: str | None = None,
    definitions: bool = False,
    external_metrics: str | None = None,
) -> int:
    """Check that the cluster is fit, then make the Secrets that are not there yet.

    Exit 1 with what helps.

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
    nats_users
        Secret with a password for each role's user of the evaluation NATS to make if it is missing.
    api_login
        SECRET/KEY of the password of the operations API's own login to make if it is missing.
    keyring_parts
        SECRET/KEY of a keyring whose parts for the runtime and the edge to make, in Secrets beside
        it.
    definitions
        Check that the custom resources are defined.
    external_metrics
        Service that is to serve external metrics: check that nobody else does.
    """
    from sinal_crds.keyring import Keyring
    from sinal_crds.rights import RIGHTS
    from sinal_operator import install as cluster

    wanted = {
        **_entry(keyring, lambda: Keyring.generate().to_json()),
        **_entry(admin_key, _password),
        **_entry(api_login, _password),
        **({nats_users: dict.fromkeys(RIGHTS, _word)} if nats_users else {}),
        **({passwords: dict.fromkeys(PASSWORDS, _password)} if passwords else {}),
    }

    async def work(client: ApiServerClient) -> None:
        if definitions:
            await cluster.definitions_served(client)
        if external_metrics:
            await cluster.external_metrics_ours(client, namespace, external_metrics)
        for name, contents in wanted.items():
            made = await cluster.ensure(client, namespace, name, contents, release=release)
            print(f"Secret {namespace}/{name}: {'made' if made else 'was there'}", flush=True)
        if keyring_parts:
            place, _, key = keyring_parts.partition("/")
            for name, made in (
                await cluster.ensure_parts(client, namespace, place, key, release=release)
            ).items():
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
    mint: Annotated[bool, Parameter(negative=())] = False,
    secret: str | None = None,
    namespace: str = "default",
    key: str = "keyring.json",
    keep: int = 2,
) -> int:
    """Add a new primary key to a keyring in a file or in a Secret.

    The newest keys before it still open.

    Restart the runtime first and the operator then: who has only the old keyring can't open what
    the new key sealed. With --mint it is the key that webhook URLs and funnels' keys are made of:
    restart the operator alone. New ones are shown, and those of before are taken too until `sinal
    keyring retire --mint`.

    Parameters
    ----------
    file
        Keyring in a file.
    mint
        Another mint key, in place of another primary key.
    secret
        Name of the Secret that holds it, in the cluster of KUBECONFIG.
    namespace
        Namespace of that Secret.
    key
        Key of the keyring in that Secret.
    keep
        How many earlier keys still open what they sealed.
    """
    place = _Place(file, secret, namespace, key)
    if mint:
        return place.change(
            lambda known: known.rotate_mint(now=int(time.time())),
            lambda _: (
                "new mint key; restart the operator. Webhook URLs and keys of before are taken "
                "until "
                "`sinal keyring retire --mint`"
            ),
        )
    return place.change(
        lambda known: known.rotate(keep=keep),
        lambda changed: (
            f"new primary key {changed.primary}; restart the runtime, then the operator"
        ),
    )


@keyring.command
def retire(
    file: Path | None = None,
    /,
    *,
    mint: Annotated[bool, Parameter(negative=())] = False,
    secret: str | None = None,
    namespace: str = "default",
    key: str = "keyring.json",
) -> int:
    """End what mint keys of before made: webhook URLs and funnels' keys that were replaced.

    Restart the operator then.

    `sinal_ingest_earlier_keys_total` counts who still uses them.

    Parameters
    ----------
    file
        Keyring in a file.
    mint
        Say that it is the mint keys: what they made is refused from then on, and nothing brings it
        back.
    secret
        Name of the Secret that holds it, in the cluster of KUBECONFIG.
    namespace
        Namespace of that Secret.
    key
        Key of the keyring in that Secret.
    """
    if not mint:
        complain(
            "say --mint: webhook URLs and keys made before the last rotation of the mint key "
            "end for good"
        )
        return 2
    return _Place(file, secret, namespace, key).change(
        lambda known: known.retire_mint(),
        lambda _: "only the newest mint key is left; restart the operator",
    )


@keyring.command
def server_key(
    funnel: str,
    file: Path | None = None,
    /,
    *,
    rotation: str = "",
    secret: str | None = None,
    namespace: str = "default",
    key: str = "keyring.json",
) -> int:
    """Print the server key of a funnel, which no status shows: who has it sends events in the
    funnel's name.

    Parameters
    ----------
    funnel
        NAMESPACE/NAME of the Funnel.
    file
        Keyring in a file.
    rotation
        Value of its annotation `sinal.dev/rotate`, where it has one.
    secret
        Name of the Secret that holds the keyring, in the cluster of KUBECONFIG.
    namespace
        Namespace of that Secret.
    key
        Key of the keyring in that Secret.
    """
    where, _, name = funnel.partition("/")
    if not where or not name:
        complain(f"{funnel}: say NAMESPACE/NAME of the Funnel")
        return 2
    return _Place(file, secret, namespace, key).show(
        lambda known: known.server_key(where, name, rotation)
    )


@keyring.command
def parts(file: Path, /) -> int:
    """Write what the runtime and the edge need of a keyring beside it, for roles that run as
    processes.

    keyring-runtime.json has no mint key, keyring-edge.json opens no access token either. In a
    cluster the chart's Job makes them. After a rotation write them again.

    Parameters
    ----------
    file
        Keyring in a file.
    """
    from sinal_cli.data_folder import write_private
    from sinal_crds.keyring import PARTS, Keyring

    try:
        known = Keyring.from_json(file.read_bytes())
        for part in PARTS:
            place = file.with_name(f"{file.stem}-{part}{file.suffix}")
            write_private(place, known.part_for(part).to_json())
            print(place)
    except (OSError, ValueError, LookupError) as error:
        complain(f"{file}: {error}")
        return 1
    return 0


@dataclass(frozen=True)
class _Place:
    """Where a keyring is: in a file, or in a Secret."""

    file: Path | None
    secret: str | None
    namespace: str
    key: str

    def change(self, change: Callable[[Keyring], Keyring], said: Callable[[Keyring], str]) -> int:
        """Put a changed keyring in place, and say what it came to.

        0, 1 where it could not be, 2 without a place.
        """
        if (self.file is None) == (self.secret is None):
            complain("give a file or --secret, one of them")
            return 2
        if self.file is not None:
            return _change_file(self.file, change, said)

        async def work(client: ApiServerClient) -> None:
            from sinal_operator.install import change_keyring

            changed = await change_keyring(
                client, self.namespace, str(self.secret), self.key, change
            )
            print(f"Secret {self.namespace}/{self.secret}: {said(changed)}")

        return _with_cluster(work)

    def show(self, told: Callable[[Keyring], str]) -> int:
        """Print what a keyring tells; 0, 1 where it could not be read, 2 without a place."""
        from sinal_crds.keyring import Keyring

        if (self.file is None) == (self.secret is None):
            complain("give a file or --secret, one of them")
            return 2
        if self.file is not None:
            try:
                print(told(Keyring.from_json(self.file.read_bytes())))
            except (OSError, ValueError, LookupError) as error:
                complain(f"{self.file}: {error}")
                return 1
            return 0

        async def work(client: ApiServerClient) -> None:
            from sinal_operator.install import read_keyring

            print(told(await read_keyring(client, self.namespace, str(self.secret), self.key)))

        return _with_cluster(work)


def _change_file(
    file: Path, change: Callable[[Keyring], Keyring], said: Callable[[Keyring], str]
) -> int:
    from sinal_cli.data_folder import write_private
    from sinal_crds.keyring import Keyring

    try:
        changed = change(Keyring.from_json(file.read_bytes()))
        write_private(file, changed.to_json())
    except (OSError, ValueError) as error:
        complain(f"{file}: {error}")
        return 1
    print(f"{file}: {said(changed)}")
    return 0


def _with_cluster(work: Callable[[ApiServerClient], Awaitable[None]]) -> int:
    """Do it with a client; 0, or 1 with a message that says what helps."""
    from sinal_operator.cluster.client import (
        ApiServerClient,
        ApiServerRefused,
        ApiServerUnreachable,
    )
    from sinal_operator.install import Malformed, Unfit

    async def whole() -> None:
        client = ApiServerClient()
        try:
            await work(client)
        finally:
            await client.close()

    try:
        asyncio.run(whole())
    except (Malformed, Unfit, ApiServerRefused, ApiServerUnreachable) as error:
        complain(str(error))
        return 1
    return 0


def _entry(
    place: str | None, make: Callable[[], bytes]
) -> Mapping[str, Mapping[str, Callable[[], bytes]]]:
    """`SECRET/KEY` as what that Secret is to hold."""
    if place is None:
        return {}
    name, _, key = place.partition("/")
    return {name: {key: make}}


def _password() -> bytes:
    return secrets.token_hex(24).encode()  # goes into URLs as it is


def _word() -> bytes:
    """A password that nats-server takes from its environment: what begins with a digit could be a
    number to it.
    """
    return b"n" + _password()


def _ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a person's or the chart's URL
            return "ready" if answer.status == 200 else f"answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"answers {error.code}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"does not answer: {error}"
