"""The adapter's own certificate: an authority of one certificate, made anew before it ends, with an
overlap. Pure.

Each pair has an authority of its own whose key is thrown away at once. A rotation has three steps,
each a version of the Secret, so that at any moment the API server trusts what any replica serves:
the next pair is announced and its authority trusted; it is served; the old authority ends.
Invariant: a step is a function of what is stored and the time, so it does not matter which replica
does it, and one that comes too late finds it done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# cert-manager's default too
RENEW = 2 / 3  # of its life: when the next one is made
CLOCKS = timedelta(minutes=5)  # how far the clocks of a cluster may be apart
COMMON_NAME = "sinal-metrics-adapter"


class Unusable(ValueError):
    """The Secret does not hold what it should."""


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its key, in PEM."""

    certificate: bytes
    key: bytes

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate; raises ValueError."""
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def made_at(self) -> datetime:
        """When it was made."""
        return self.parsed.not_valid_before_utc + CLOCKS

    @property
    def ends_at(self) -> datetime:
        """When it ends."""
        return self.parsed.not_valid_after_utc

    @property
    def hosts(self) -> list[str]:
        """What it is for."""
        names = self.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName)


@dataclass(frozen=True)
class Ring:
    """What is served now, what will be, and every authority that is trusted meanwhile."""

    current: KeyPair
    upcoming: KeyPair | None
    authorities: tuple[bytes, ...]  # PEM each, the newest first

    @property
    def bundle(self) -> bytes:
        """All authorities, for whoever has to trust us."""
        return b"".join(self.authorities)

    def data(self) -> dict[str, bytes]:
        """As a Secret keeps it."""
        found = {
            "tls.crt": self.current.certificate,
            "tls.key": self.current.key,
            "ca.crt": self.bundle,
        }
        if self.upcoming is not None:
            found |= {"next.crt": self.upcoming.certificate, "next.key": self.upcoming.key}
        return found

    @classmethod
    def of(cls, data: Mapping[str, bytes]) -> Self:
        """From a Secret's data; raises Unusable."""
        try:
            current = KeyPair(data["tls.crt"], data["tls.key"])
            upcoming = KeyPair(data["next.crt"], data["next.key"]) if "next.crt" in data else None
            authorities = x509.load_pem_x509_certificates(data["ca.crt"])
            for pair in filter(None, (current, upcoming)):
                _check(pair)
        except (KeyError, ValueError, TypeError, x509.ExtensionNotFound) as error:
            raise Unusable(f"it holds no certificate of ours ({type(error).__name__})") from error
        return cls(current, upcoming, tuple(_pem(authority) for authority in authorities))


@dataclass(frozen=True)
class Maker:
    """Makes and rotates certificates for these hosts."""

    hosts: Sequence[str]
    life: timedelta
    settle: timedelta  # how long an authority is told before a certificate of it is served

    def first(self, now: datetime) -> Ring:
        """To begin with."""
        pair, authority = self._pair(now)
        return Ring(pair, None, (authority,))

    def step(self, ring: Ring, now: datetime, *, trusted: bool) -> Ring:
        """The ring as it should be now, unchanged if nothing is due.

        `trusted`: the API server has the whole bundle.
        """
        if sorted(ring.current.hosts) != sorted(self.hosts) or ring.current.ends_at <= now:
            return self.first(now)
        ring = replace(ring, authorities=tuple(one for one in ring.authorities if _ends(one) > now))
        made = ring.current.made_at
        if ring.upcoming is None:
            return (
                self._announce(ring, now)
                if now >= made + (ring.current.ends_at - made) * RENEW
                else ring
            )
        if trusted and now >= ring.upcoming.made_at + self.settle:
            return replace(ring, current=ring.upcoming, upcoming=None)
        return ring

    def _announce(self, ring: Ring, now: datetime) -> Ring:
        pair, authority = self._pair(now)
        return replace(ring, upcoming=pair, authorities=(authority, *ring.authorities))

    def _pair(self, now: datetime) -> tuple[KeyPair, bytes]:
        """A new pair and its authority, which signs nothing else."""
        signing, serving = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        issuer = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"{COMMON_NAME}-ca-{now:%Y%m%d%H%M%S}")]
        )
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
        authority = (
            self._builder(issuer, issuer, signing.public_key(), signing, now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(signing, hashes.SHA256())
        )
        certificate = (
            self._builder(subject, issuer, serving.public_key(), signing, now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host) for host in self.hosts]),
                critical=False,
            )
            .sign(signing, hashes.SHA256())
        )
        key = serving.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return KeyPair(_pem(certificate), key), _pem(authority)

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        signing: ec.EllipticCurvePrivateKey,
        now: datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            # A client whose clock is behind would refuse a certificate of this very moment.
            .not_valid_before(now - CLOCKS)
            .not_valid_after(now + self.life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
                critical=False,
            )
        )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _check(pair: KeyPair) -> None:
    """Raise ValueError for a key of another certificate."""
    key = serialization.load_pem_private_key(pair.key, password=None)
    if key.public_key() != pair.parsed.public_key() or not pair.hosts:
        raise ValueError("the key is another certificate's")


def _ends(authority: bytes) -> datetime:
    return x509.load_pem_x509_certificate(authority).not_valid_after_utc


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def utc_now() -> datetime:
    """Now, as certificates count."""
    return datetime.now(UTC)
