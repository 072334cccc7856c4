"""Secrets that are made once and kept: the keyring, the first key of the API, passwords of
evaluation services.

Invariant: a Secret that exists is never changed here but by `change_keyring`, and nothing of its
contents is printed. They carry no label of Helm or Argo CD, so that neither takes them away:
without the keyring no plan opens any more.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from sinal_crds.keyring import PARTS, Keyring, Part
from sinal_crds.names import GROUP
from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused
from sinal_operator.cluster.resources import SECRETS


class Malformed(Exception):
    """A Secret that exists but can't be used; the message names it and what helps."""


async def ensure(
    client: ApiServerClient,
    namespace: str,
    name: str,
    contents: Mapping[str, Callable[[], bytes]],
    *,
    release: str,
) -> bool:
    """Make the Secret if there is none, and say whether it was made.

    Raises Malformed, Unreachable or Refused.
    """
    found = await client.get(SECRETS, namespace, name)
    if found is None:
        try:
            await client.create(SECRETS, namespace, _secret(name, contents, release))
        except ApiServerRefused as error:
            if not error.outdated:  # another one has just made it
                raise
        else:
            return True
        found = await client.get(SECRETS, namespace, name) or {}
    missing = [key for key in contents if not (found.get("data") or {}).get(key)]
    if missing:
        raise Malformed(
            f"Secret {namespace}/{name} is there but has no {', '.join(missing)}: add it, or "
            "delete the Secret"
        )
    return False


async def change_keyring(
    client: ApiServerClient,
    namespace: str,
    name: str,
    key: str,
    change: Callable[[Keyring], Keyring],
) -> Keyring:
    """Put another keyring, and parts of it, in the place of what is there.

    Raises Malformed, Unreachable or Refused.

    Parts that nobody has made stay away.
    """
    found, known = await _keyring(client, namespace, name, key)
    try:
        changed = change(known)
    except ValueError as error:
        raise Malformed(f"Secret {namespace}/{name}, key {key}: {error}") from None
    await _replace(client, namespace, name, found, key, changed)
    for part in PARTS:
        there = await client.get(SECRETS, namespace, part_name(name, part))
        if there is not None:
            await _replace(
                client, namespace, part_name(name, part), there, key, changed.part_for(part)
            )
    return changed


async def ensure_parts(
    client: ApiServerClient, namespace: str, name: str, key: str, *, release: str
) -> Mapping[str, bool]:
    """Make the Secrets with the keyring's parts that are not there.

    Returns which were made, by their names.

    Raises Malformed for one that is another keyring's, Unreachable or Refused.
    """
    _, keyring = await _keyring(client, namespace, name, key)
    made = {}
    for part in PARTS:
        wanted, place = keyring.part_for(part), part_name(name, part)
        made[place] = await ensure(client, namespace, place, {key: wanted.to_json}, release=release)
        if not made[place] and (await _keyring(client, namespace, place, key))[1] != wanted:
            raise Malformed(
                f"Secret {namespace}/{place} is not a part of the keyring in {name}: delete it, "
                "and it is made again"
            )
    return made


async def read_keyring(client: ApiServerClient, namespace: str, name: str, key: str) -> Keyring:
    """The keyring in a Secret; raises Malformed, Unreachable or Refused."""
    return (await _keyring(client, namespace, name, key))[1]


def part_name(name: str, part: Part) -> str:
    """Name of the Secret with a part of the keyring in the Secret `name`."""
    return f"{name}-{part}"


async def _keyring(
    client: ApiServerClient, namespace: str, name: str, key: str
) -> tuple[dict[str, Any], Keyring]:
    """A Secret and the keyring in it; raises Malformed."""
    found = await client.get(SECRETS, namespace, name)
    raw = ((found or {}).get("data") or {}).get(key)
    if found is None or raw is None:
        raise Malformed(f"Secret {namespace}/{name} with the key {key} is not there")
    try:
        return found, Keyring.from_json(base64.b64decode(raw))
    except ValueError as error:
        raise Malformed(f"Secret {namespace}/{name}, key {key}: {error}") from None


async def _replace(
    client: ApiServerClient,
    namespace: str,
    name: str,
    found: dict[str, Any],
    key: str,
    keyring: Keyring,
) -> None:
    data = {**(found.get("data") or {}), key: _encoded(keyring.to_json())}
    await client.replace(
        SECRETS, namespace, name, {"apiVersion": "v1", "kind": "Secret", **found, "data": data}
    )


def _secret(name: str, contents: Mapping[str, Callable[[], bytes]], release: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {f"{GROUP}/release": release}},
        "type": "Opaque",
        "data": {key: _encoded(make()) for key, make in contents.items()},
    }


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
