"""Certificates made by the test, and a TLS ending before a real service, as a pooler or a load
balancer is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SSL_REQUEST = (80877103).to_bytes(4)  # PostgreSQL's own way into TLS
_YEAR = dt.timedelta(days=365)


@dataclass(frozen=True)
class Authority:
    """An authority's certificate, and one for 127.0.0.1 that it signed."""

    ca: Path
    certificate: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """What a server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def authority(folder: Path) -> Authority:
    """A new authority in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Authority(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
    root_key, root = ec.generate_private_key(ec.SECP256R1()), _name(f"authority in {folder.name}")
    own = _certificate(root, root, root_key.public_key()).add_extension(
        x509.BasicConstraints(True, 0), critical=True
    )
    made.ca.write_bytes(
        own.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = _certificate(_name("service"), root, key.public_key()).add_extension(
        names, critical=False
    )
    made.certificate.write_bytes(
        leaf.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    form = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    made.key.write_bytes(key.private_bytes(*form))
    return made


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - _YEAR)
        .not_valid_after(now + _YEAR)
    )


@contextlib.asynccontextmanager
async def ending(
    context: ssl.SSLContext, *, to: str | int, postgres: bool = False
) -> AsyncIterator[int]:
    """A port of 127.0.0.1 that speaks TLS and hands what it says to a port or a Unix socket."""
    under_way: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            if postgres:
                while (await reader.readexactly(8))[4:] != _SSL_REQUEST:
                    writer.write(b"N")  # encryption by GSSAPI
                writer.write(b"S")
                await writer.start_tls(context)
            inner = await (
                asyncio.open_connection("127.0.0.1", to)
                if isinstance(to, int)
                else asyncio.open_unix_connection(to)
            )
            await asyncio.gather(_pump(reader, inner[1]), _pump(inner[0], writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # a client that refused the certificate, or went
        finally:
            writer.close()
            under_way.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if postgres else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
