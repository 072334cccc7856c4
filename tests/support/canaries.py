"""Canaries: people and secrets that exist nowhere else, every clear form they could be stored in,
and the search.

All words of a person hold one of two made-up cores, so that few needles find all of them whatever
is around them; numbers are searched as they are. The search proves nothing by itself: it must also
find what is meant to be there.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

CORE = "zorbaquen"
ACCENTED = "Zôrbãquén"
GZIP = b"\x1f\x8b\x08"
_EMPTY = re.compile(rb"\0{512,}")  # most of a write-ahead log


def secret(name: str) -> str:
    """A credential of a manifest."""
    return f"EAA{CORE}{name}0000secret"


@dataclass(frozen=True)
class Person:
    """Somebody who comes through one door only."""

    door: str
    phone: str  # eleven digits
    cpf: str  # eleven digits with right check digits

    @classmethod
    def of(cls, door: str) -> Person:
        """The same person at every run."""
        digits = random.Random(door)
        return cls(door, "119" + str(digits.randint(60_000_000, 99_999_999)), _cpf(digits))

    @property
    def email(self) -> str:
        return f"{self.door}.{CORE}@cliente.example"

    @property
    def first_name(self) -> str:
        return f"{ACCENTED}{self.door}"

    @property
    def last_name(self) -> str:
        return f"Da {ACCENTED} {CORE}"

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @property
    def street(self) -> str:
        return f"Rua {CORE} {self.door}"

    @property
    def cpf_printed(self) -> str:
        return f"{self.cpf[:3]}.{self.cpf[3:6]}.{self.cpf[6:9]}-{self.cpf[9:]}"

    @property
    def phone_printed(self) -> str:
        return f"({self.phone[:2]}) {self.phone[2:7]}-{self.phone[7:]}"

    @property
    def numbers(self) -> list[str]:
        """Every way in which the numbers are written."""
        local = self.phone[2:]
        return [
            self.phone,
            self.phone_printed,
            f"{local[:5]}-{local[5:]}",
            f'"{local}"',
            self.cpf,
            self.cpf_printed,
        ]


def fill(payload: Any, person: Person) -> Any:
    """The payload with the person's document and street wherever it has a place for them."""
    if isinstance(payload, dict):
        return {key: _replaced(key.lower(), value, person) for key, value in payload.items()}
    return [fill(item, person) for item in payload] if isinstance(payload, list) else payload


def _replaced(key: str, value: Any, person: Person) -> Any:
    if isinstance(value, str) and key in ("document", "document_number", "cpf", "client_document"):
        return person.cpf
    if isinstance(value, str) and key in ("identification_number", "tax_id"):
        return person.cpf_printed
    if isinstance(value, str) and key in (
        "street",
        "address",
        "address_street",
        "street_name",
        "client_address",
    ):
        return person.street
    return fill(value, person)


def needles(texts: Iterable[str]) -> dict[bytes, str]:
    """Every clear form of the texts, in lower case -> the text."""
    return {form.lower(): text for text in texts for form in _forms(text) if form}


def _forms(text: str) -> Iterator[bytes]:
    plain = text.encode()
    yield plain
    yield text.encode("latin-1")
    yield text.encode("utf-16-le")
    yield quote(text, safe="").encode()
    yield quote(quote(text, safe=""), safe="").encode()
    yield json.dumps(text)[1:-1].encode()
    yield plain.hex().encode()
    for before in range(3):  # wherever it stands in what was encoded
        encoded = base64.b64encode(b"\0" * before + plain).rstrip(b"=")
        whole = encoded[(0, 2, 3)[before] : len(encoded) - 1]
        yield whole
        yield whole.replace(b"+", b"-").replace(b"/", b"_")


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a folder, and what is compressed in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = _EMPTY.sub(b"\0", path.read_bytes())
            yield path, data
            for at in itertools.islice(_find(data, GZIP), 1_000):
                if inflated := _inflate(data[at:]):
                    yield path, inflated


def leaks(data: bytes, wanted: dict[bytes, str]) -> list[str]:
    """What of the needles is in the data, each with its surroundings."""
    lower = data.lower()
    found = [(lower.find(needle), text) for needle, text in wanted.items() if needle in lower]
    return [f"{text!r} at {at}: {data[max(0, at - 60) : at + 60]!r}" for at, text in found]


def _find(data: bytes, what: bytes) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, 1 << 26)
    except zlib.error:
        return b""


def _cpf(digits: random.Random) -> str:
    number = [digits.randint(0, 9) for _ in range(9)]
    for _ in range(2):
        rest = (
            sum(
                weight * digit
                for weight, digit in zip(range(len(number) + 1, 1, -1), number, strict=True)
            )
            % 11
        )
        number.append(0 if rest < 2 else 11 - rest)
    return "".join(map(str, number))
