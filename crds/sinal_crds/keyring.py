"""The keys that operator and runtime share: one mints public keys and tokens, the others seal
plans.

Minting is a function of the key and an object's name: nothing has to be stored, a restart changes
nothing. Sealing keys rotate: the primary seals, the others still open. The mint key rotates too:
what the keys before it minted is taken until they are retired. A keyring has parts for those who
need less: the runtime's has no mint key, the edge's has keys derived from the sealing keys, which
lead to none of them. Both are functions of the whole one. Invariant: no representation of a keyring
holds a key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b32encode, b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import msgspec

_KEY_BYTES = 32
_MINTED_BYTES = 20  # 160 bits: 32 characters of base32, no padding
MOST_EARLIER = 3  # mint keys that are taken beside the new one: each makes every plan longer


_EDGE = ".edge"  # behind a sealing key's id: the key derived from it that the edge has

Part = Literal["whole", "runtime", "edge"]
PARTS: tuple[Part, ...] = ("runtime", "edge")


class InvalidKeyring(ValueError):
    """A keyring file that can't be used; the message names the field, never a key."""


class UnknownKey(LookupError):
    """A plan was sealed under a key that this keyring does not have (rotated away, or another
    installation's).
    """


class _SealingKey(msgspec.Struct, frozen=True):
    id: str
    key: str


class _EarlierKey(msgspec.Struct, frozen=True):
    key: str
    replaced_at: int


class _File(msgspec.Struct, frozen=True, omit_defaults=True):
    version: int
    keys: list[_SealingKey]
    primary: str
    mint: str = ""  # none in a part
    part: Part = "whole"  # a release that does not know parts misses `mint` in them, and says so
    # a release that does not know them mints by `mint` alone, and takes nothing else
    earlier: list[_EarlierKey] = []


class NotInThisPart(ValueError):
    """Something was asked of a part of a keyring that only the whole one has."""


class TooManyMintKeys(ValueError):
    """A rotation of the mint key where too many of before are still taken.

    The message says the way out.
    """


@dataclass(frozen=True)
class EarlierMint:
    """A mint key of before, and when it was replaced (seconds since 1970)."""

    key: bytes = field(repr=False)
    replaced_at: int


@dataclass(frozen=True)
class Keyring:
    """Keys of one installation."""

    mint_key: bytes = field(repr=False)  # empty in a part
    keys: Mapping[str, bytes] = field(repr=False)  # oldest first
    primary: str
    earlier: tuple[EarlierMint, ...] = ()  # mint keys whose tokens are still taken, oldest first
    part: Part = "whole"

    @classmethod
    def generate(cls) -> Keyring:
        """A new installation's keyring."""
        first = _new_id()
        return cls(
            secrets.token_bytes(_KEY_BYTES),
            MappingProxyType({first: secrets.token_bytes(_KEY_BYTES)}),
            first,
        )

    @classmethod
    def from_json(cls, raw: bytes) -> Keyring:
        """Read what `to_json` wrote; raises InvalidKeyring."""
        try:
            file = msgspec.json.decode(raw, type=_File)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidKeyring(f"keyring: {error}") from None
        if file.version != 1:
            raise InvalidKeyring(
                f"keyring: version {file.version} is unknown to this release; it reads version 1"
            )
        keys = {
            item.id: _decode(f"keys[{index}].key", item.key) for index, item in enumerate(file.keys)
        }
        if len(keys) != len(file.keys):
            raise InvalidKeyring("keyring: keys: an id is listed twice; keep one")
        if file.primary not in keys:
            raise InvalidKeyring(
                "keyring: primary: names none of the keys; set it to one of their ids"
            )
        earlier = tuple(
            EarlierMint(_decode(f"earlier[{index}].key", item.key), item.replaced_at)
            for index, item in enumerate(file.earlier)
        )
        mint = _decode("mint", file.mint) if file.part == "whole" else b""
        return cls(mint, MappingProxyType(keys), file.primary, earlier, file.part)

    def to_json(self) -> bytes:
        """The keyring's file: keep it as secret as a private key."""
        items = [_SealingKey(id=name, key=_encode(key)) for name, key in self.keys.items()]
        earlier = [
            _EarlierKey(key=_encode(item.key), replaced_at=item.replaced_at)
            for item in self.earlier
        ]
        mint = _encode(self.mint_key)
        return msgspec.json.encode(
            _File(
                version=1,
                mint=mint,
                keys=items,
                primary=self.primary,
                earlier=earlier,
                part=self.part,
            )
        )

    def part_for(self, part: Part) -> Keyring:
        """What of it the runtime or the edge needs.

        Raises NotInThisPart for a part that has not what that takes.
        """
        if part == self.part:
            return self
        if self.part == "edge" or part == "whole":
            raise NotInThisPart(
                f"the {self.part} part of a keyring has not what the {part} part takes"
            )
        if part == "runtime":
            return Keyring(b"", self.keys, self.primary, part="runtime")
        keys = {name + _EDGE: _of_edge(key) for name, key in self.keys.items()}
        return Keyring(b"", MappingProxyType(keys), self.edge_primary, part="edge")

    @property
    def edge_primary(self) -> str:
        """Id of the key under which is sealed what the edge opens, and what the edge itself
        seals.
        """
        return self.primary if self.part == "edge" else self.primary + _EDGE

    def rotate(self, *, keep: int = 2) -> Keyring:
        """A new primary; the `keep` newest keys before it still open what they sealed.

        What was minted stays.
        """
        self._demand_whole("can't be rotated: rotate the whole one, and make its parts of that")
        fresh = _new_id()
        kept = dict(list(self.keys.items())[-keep:]) if keep > 0 else {}
        return replace(
            self,
            keys=MappingProxyType({**kept, fresh: secrets.token_bytes(_KEY_BYTES)}),
            primary=fresh,
        )

    def rotate_mint(self, *, now: int) -> Keyring:
        """A new mint key; what those before it minted is still taken. Raises TooManyMintKeys."""
        self._demand_whole("has no mint key")
        if len(self.earlier) >= MOST_EARLIER:
            raise TooManyMintKeys(
                f"{len(self.earlier)} mint keys of before are still taken, and no more can be: "
                "retire them first"
            )
        earlier = (*self.earlier, EarlierMint(self.mint_key, now))
        return replace(self, mint_key=secrets.token_bytes(_KEY_BYTES), earlier=earlier)

    def retire_mint(self) -> Keyring:
        """Without the mint keys of before: what they minted is taken no more."""
        self._demand_whole("has no mint key")
        return replace(self, earlier=())

    @property
    def minted_at(self) -> int | None:
        """Since when there is the newest mint key, while those before it are taken too.

        None while there are none.
        """
        return self.earlier[-1].replaced_at if self.earlier else None

    def key(self, key_id: str) -> bytes:
        """The sealing key of that id; raises UnknownKey."""
        if (found := self.keys.get(key_id)) is not None:
            return found
        origin = self.keys.get(key_id.removesuffix(_EDGE)) if is_of_edge(key_id) else None
        if origin is None:
            raise UnknownKey(
                f"no sealing key {key_id!r} in the keyring; give runtime and operator the same one"
            )
        return _of_edge(origin)

    def mint(self, purpose: str, *parts: str) -> str:
        """32 lower-case base32 characters that only this keyring derives from these words."""
        return _minted(self._mint_key(), purpose, *parts)

    def minted_before(self, purpose: str, *parts: str) -> tuple[str, ...]:
        """What `mint` gave, by each earlier mint key that is still taken; the newest first."""
        return tuple(_minted(item.key, purpose, *parts) for item in reversed(self.earlier))

    def server_key(self, namespace: str, funnel: str, rotation: str = "") -> str:
        """The server key of a Funnel, as compiling mints it."""
        return "sk_" + self.mint("server-key", "Funnel", namespace, funnel, rotation)

    def digest(self, purpose: str, *parts: str | bytes) -> bytes:
        """HMAC-SHA256 under the mint key.

        Every part is preceded by its length, so that parts can't run together.
        """
        return _digest(self._mint_key(), purpose, *parts)

    def _mint_key(self) -> bytes:
        self._demand_whole("has no mint key")
        return self.mint_key

    def _demand_whole(self, why: str) -> None:
        if self.part != "whole":
            raise NotInThisPart(f"the {self.part} part of a keyring {why}")


def is_of_edge(key_id: str) -> bool:
    """Whether it is the id of a key that the edge has."""
    return key_id.endswith(_EDGE)


def _of_edge(key: bytes) -> bytes:
    """The key that the edge has of it; nobody comes back from that one."""
    return derived(key, b"sinal edge v1")


def derived(key: bytes, purpose: bytes) -> bytes:
    """A key for one purpose (HKDF-SHA256), from which nobody comes back to the first."""
    # Here, because a process that derives nothing, such as the metrics adapter, has no use for the
    # package.
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # No salt: it helps to extract a key from what is not uniformly random (RFC 5869, 3.1). A key
    # is.
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(key)


def _minted(key: bytes, purpose: str, *parts: str) -> str:
    return b32encode(_digest(key, purpose, *parts)[:_MINTED_BYTES]).decode().lower()


def _digest(key: bytes, *parts: str | bytes) -> bytes:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        mac.update(len(data).to_bytes(8, "big") + data)
    return mac.digest()


def _new_id() -> str:
    return f"k{secrets.token_hex(4)}"


def _encode(key: bytes) -> str:
    return b64encode(key).decode()


def _decode(name: str, text: str) -> bytes:
    try:
        key = b64decode(text, validate=True)
    except ValueError:
        raise InvalidKeyring(f"keyring: {name}: is not base64") from None
    if len(key) != _KEY_BYTES:
        raise InvalidKeyring(
            f"keyring: {name}: must be {_KEY_BYTES} bytes in base64, it has {len(key)}"
        )
    return key
