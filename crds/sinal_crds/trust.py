"""Which authority a service's certificate must be of, for the clients of operator and runtime
alike.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class NoTLS(OSError):
    """A server that was to prove who it is speaks without TLS: nothing is said to it, no password
    above all.
    """


def context(authority: Path) -> ssl.SSLContext:
    """What a client accepts that trusts the certificates of a file (PEM) and no others.

    Raises ValueError.
    """
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # names and certificates are checked
    try:
        trusted.load_verify_locations(authority)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"{authority} holds no certificate in PEM: {words(error)}") from error
    return trusted


def words(error: BaseException) -> str:
    """An error of a connection for people: its class, and what TLS says where it is the reason."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError | NoTLS):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"{type(error).__name__}: the server's certificate is refused: {cause.verify_message}"
        )
    if isinstance(cause, NoTLS):
        return f"{type(error).__name__}: {cause}"
    if cause is not None:
        return (
            f"{type(error).__name__}: TLS fails: "
            f"{cause.args[-1] if cause.args else type(cause).__name__}"
        )
    return type(error).__name__


def demand(info: Mapping[str, Any], *, of: ssl.SSLContext | None) -> None:
    """See that a broker's greeting offers TLS where it must.

    Raises NoTLS before anything is answered.

    nats-py goes on in the clear where the server offers none.
    """
    if of is not None and not info.get("tls_required"):
        raise NoTLS("an authority is set for NATS, and this server offers no TLS")
