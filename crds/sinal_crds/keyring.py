"""The keys that operator and runtime share: one mints public keys and tokens, the others seal plans.

Minting is a function of the key and an object's name: nothing has to be stored, a restart changes nothing.
Sealing keys rotate: the primary seals, the others still open. Invariant: no representation of a keyring holds a key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b32encode, b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import msgspec

_KEY_BYTES = 32
_MINTED_BYTES = 20  # 160 bits: 32 characters of base32, no padding


class InvalidKeyring(ValueError):
    """A keyring file that can't be used; the message names the field, never a key."""


class UnknownKey(LookupError):
    """A plan was sealed under a key that this keyring does not have (rotated away, or another installation's)."""


class _SealingKey(msgspec.Struct, frozen=True):
    id: str
    key: str


class _File(msgspec.Struct, frozen=True):
    version: int
    mint: str
    keys: list[_SealingKey]
    primary: str


@dataclass(frozen=True)
class Keyring:
    """Keys of one installation."""

    mint_key: bytes = field(repr=False)
    keys: Mapping[str, bytes] = field(repr=False)  # oldest first
    primary: str

    @classmethod
    def generate(cls) -> Keyring:
        """A new installation's keyring."""
        first = _new_id()
        return cls(secrets.token_bytes(_KEY_BYTES), MappingProxyType({first: secrets.token_bytes(_KEY_BYTES)}), first)

    @classmethod
    def from_json(cls, raw: bytes) -> Keyring:
        """Read what `to_json` wrote; raises InvalidKeyring."""
        try:
            file = msgspec.json.decode(raw, type=_File)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidKeyring(f"keyring: {error}") from None
        if file.version != 1:
            raise InvalidKeyring(f"keyring: version {file.version} is unknown to this release; it reads version 1")
        keys = {item.id: _decode(f"keys[{index}].key", item.key) for index, item in enumerate(file.keys)}
        if len(keys) != len(file.keys):
            raise InvalidKeyring("keyring: keys: an id is listed twice; keep one")
        if file.primary not in keys:
            raise InvalidKeyring("keyring: primary: names none of the keys; set it to one of their ids")
        return cls(_decode("mint", file.mint), MappingProxyType(keys), file.primary)

    def to_json(self) -> bytes:
        """The keyring's file: keep it as secret as a private key."""
        items = [_SealingKey(id=name, key=b64encode(key).decode()) for name, key in self.keys.items()]
        return msgspec.json.encode(
            _File(version=1, mint=b64encode(self.mint_key).decode(), keys=items, primary=self.primary)
        )

    def rotate(self, *, keep: int = 2) -> Keyring:
        """A new primary; the `keep` newest keys before it still open what they sealed. What was minted stays."""
        fresh = _new_id()
        kept = dict(list(self.keys.items())[-keep:]) if keep > 0 else {}
        return replace(self, keys=MappingProxyType({**kept, fresh: secrets.token_bytes(_KEY_BYTES)}), primary=fresh)

    def key(self, key_id: str) -> bytes:
        """The sealing key of that id; raises UnknownKey."""
        try:
            return self.keys[key_id]
        except KeyError:
            raise UnknownKey(
                f"no sealing key {key_id!r} in the keyring; give runtime and operator the same one"
            ) from None

    def mint(self, purpose: str, *parts: str) -> str:
        """32 lower-case base32 characters that only this keyring derives from these words."""
        return b32encode(self.digest(purpose, *parts)[:_MINTED_BYTES]).decode().lower()

    def digest(self, purpose: str, *parts: str | bytes) -> bytes:
        """HMAC-SHA256 under the mint key; every part is preceded by its length, so that parts can't run together."""
        mac = hmac.new(self.mint_key, digestmod=hashlib.sha256)
        for part in (purpose, *parts):
            data = part.encode() if isinstance(part, str) else part
            mac.update(len(data).to_bytes(8, "big") + data)
        return mac.digest()


def _new_id() -> str:
    return f"k{secrets.token_hex(4)}"


def _decode(name: str, text: str) -> bytes:
    try:
        key = b64decode(text, validate=True)
    except ValueError:
        raise InvalidKeyring(f"keyring: {name}: is not base64") from None
    if len(key) != _KEY_BYTES:
        raise InvalidKeyring(f"keyring: {name}: must be {_KEY_BYTES} bytes in base64, it has {len(key)}")
    return key
