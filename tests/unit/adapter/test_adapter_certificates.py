"""The API server trusts what any replica shows, at every moment and in whatever order the replicas
work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from sinal_metrics_adapter.certificate_reconciler import CertificateReconciler
from sinal_metrics_adapter.certificates import KeyPair, Maker, Ring, Unusable
from sinal_metrics_adapter.errors import ClusterRefused
from sinal_metrics_adapter.ports import FrontProxy, Registration, StoredSecret
from sinal_metrics_adapter.testing import MemoryCluster

START = datetime(2026, 3, 1, tzinfo=UTC)
LIFE = timedelta(days=90)
SETTLE = timedelta(minutes=1)
HOST = "sinal-metrics-adapter.sinal.svc"
MAKER = Maker([HOST], LIFE, SETTLE)


def _signed_by(pair: KeyPair, bundle: bytes) -> bool:
    """Whether an authority of the bundle signed the pair's certificate."""
    found = pair.parsed
    for authority in x509.load_pem_x509_certificates(bundle):
        if authority.subject == found.issuer:
            try:
                found.verify_directly_issued_by(authority)
            except Exception:
                continue
            return True
    return False


def test_the_certificate_is_for_the_service_and_its_authority_can_sign_nothing_more() -> None:
    ring = MAKER.first(START)
    certificate = ring.current.parsed
    assert ring.current.hosts == [HOST]
    assert ring.current.ends_at == START + LIFE
    assert _signed_by(ring.current, ring.bundle)
    usage = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not usage.ca
    (authority,) = x509.load_pem_x509_certificates(ring.bundle)
    constraint = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraint.ca, constraint.path_length) == (True, 0)
    assert set(ring.data()) == {"tls.crt", "tls.key", "ca.crt"}


def test_a_rotation_announces_settles_and_forgets() -> None:
    ring = MAKER.first(START)
    assert MAKER.step(ring, START + LIFE / 2, trusted=True) == ring
    due = START + LIFE * 0.7
    announced = MAKER.step(ring, due, trusted=True)
    assert announced.current == ring.current and announced.upcoming is not None
    assert announced.bundle.endswith(ring.bundle) and announced.bundle != ring.bundle
    assert MAKER.step(announced, due + SETTLE / 2, trusted=True) == announced
    assert MAKER.step(announced, due + LIFE / 10, trusted=False) == announced
    served = MAKER.step(announced, due + SETTLE + timedelta(seconds=1), trusted=True)
    assert (served.current, served.upcoming) == (announced.upcoming, None)
    assert served.bundle == announced.bundle
    later = MAKER.step(served, START + LIFE + timedelta(minutes=1), trusted=True)
    assert len(later.authorities) == 1 and _signed_by(later.current, later.bundle)


def test_another_name_of_the_service_is_another_certificate() -> None:
    ring = MAKER.first(START)
    renamed = Maker(["other.sinal.svc"], LIFE, SETTLE).step(ring, START, trusted=True)
    assert renamed.current.hosts == ["other.sinal.svc"]


def test_what_was_stored_is_what_is_read() -> None:
    ring = MAKER.step(MAKER.first(START), START + LIFE * 0.7, trusted=True)
    assert Ring.of(ring.data()) == ring


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key", "ca.crt"])
def test_an_incomplete_secret_is_unusable(missing: str) -> None:
    data = MAKER.first(START).data()
    for value in (None, b"", b"no PEM"):
        broken = {name: found for name, found in data.items() if name != missing}
        with pytest.raises(Unusable):
            Ring.of(broken if value is None else {**broken, missing: value})


def test_a_key_of_another_certificate_is_unusable() -> None:
    one, other = MAKER.first(START).data(), MAKER.first(START).data()
    with pytest.raises(Unusable):
        Ring.of({**one, "tls.key": other["tls.key"]})


@dataclass
class Replica:
    """One adapter: its keeper, and what it shows."""

    keeper: CertificateReconciler
    shown: list[KeyPair]


class World:
    """Replicas that share an API server and a clock."""

    def __init__(self, cluster: MemoryCluster | None = None) -> None:
        self.cluster, self.now = cluster or MemoryCluster(), START

    def replica(self) -> Replica:
        """One more."""
        shown: list[KeyPair] = []

        def present(pair: KeyPair, _: FrontProxy) -> None:
            shown.append(pair)

        keeper = CertificateReconciler(
            self.cluster,
            MAKER,
            namespace="sinal",
            service="sinal-metrics-adapter",
            secret="tls",
            present=present,
            now=lambda: self.now,
        )
        return Replica(keeper, shown)


# Every replica looks within the time that a step settles: the keeper sees to that with its
# interval.
@settings(max_examples=10, deadline=None)
@given(order=st.lists(st.integers(0, 2), min_size=30, max_size=50), hours=st.integers(24, 72))
async def test_replicas_in_any_order_are_trusted_throughout(order: list[int], hours: int) -> None:
    world = World()
    replicas = [world.replica() for _ in range(3)]
    for replica in replicas:
        await replica.keeper.tend()
    for first in order:
        world.now += timedelta(hours=hours)
        for number in (first, 0, 1, 2):
            await replicas[number].keeper.tend()
            registered = world.cluster.registered
            assert registered is not None
            for replica in replicas:
                assert replica.shown[-1].ends_at > world.now
                assert _signed_by(replica.shown[-1], registered.bundle)
    assert len(replicas[0].shown) >= (len(order) * hours) // (24 * 90)


async def test_a_quiet_time_writes_nothing() -> None:
    world = World()
    replica = world.replica()
    await replica.keeper.tend()
    assert world.cluster.writes == ["secret", "apiservice"]
    for _ in range(5):
        world.now += timedelta(minutes=1)
        await replica.keeper.tend()
    assert world.cluster.writes == ["secret", "apiservice"]
    assert len(replica.shown) == 1 and replica.keeper.registered


async def test_of_two_that_start_at_once_one_certificate_is_left() -> None:
    class Late(MemoryCluster):
        """Another replica makes the Secret between our look and our write."""

        async def create_secret(self, data: object) -> bool:
            if self.stored is None:
                self._store(MAKER.first(START).data())
            return False

    world = World(Late())
    replica = world.replica()
    await replica.keeper.tend()
    assert world.cluster.stored is not None
    assert replica.shown[-1].certificate == world.cluster.stored.data["tls.crt"]


async def test_an_api_service_of_another_is_never_written() -> None:
    theirs = Registration("keda", "keda-operator-metrics-apiserver", b"theirs", "7")
    world = World(MemoryCluster(registered=theirs))
    replica = world.replica()
    await replica.keeper.tend()
    assert world.cluster.registered == theirs
    assert not replica.keeper.registered
    assert "keda/keda-operator-metrics-apiserver" in (replica.keeper.refusal or "")
    world.cluster.registered = Registration("sinal", "sinal-metrics-adapter", b"", "8")
    await replica.keeper.tend()
    assert replica.keeper.registered and replica.keeper.refusal is None


async def test_without_an_api_service_it_serves_and_waits() -> None:
    world = World(MemoryCluster(registered=None))
    replica = world.replica()
    await replica.keeper.tend()
    assert (
        replica.keeper.serving and not replica.keeper.registered and replica.keeper.refusal is None
    )


async def test_a_secret_of_another_is_never_written() -> None:
    theirs = StoredSecret({"tls.crt": b"theirs"}, "1", ours=False)
    world = World(MemoryCluster(stored=theirs))
    with pytest.raises(ClusterRefused, match="SINAL_ADAPTER_SECRET"):
        await world.replica().keeper.tend()
    assert world.cluster.stored == theirs


async def test_a_broken_secret_of_ours_is_made_anew() -> None:
    world = World(MemoryCluster(stored=StoredSecret({"tls.crt": b"broken"}, "1", ours=True)))
    replica = world.replica()
    await replica.keeper.tend()
    assert replica.keeper.serving and replica.keeper.registered


async def test_a_certificate_that_ended_is_not_ready() -> None:
    world = World()
    replica = world.replica()
    await replica.keeper.tend()
    world.now += LIFE
    assert not replica.keeper.serving
    await replica.keeper.tend()
    assert replica.keeper.serving


async def test_a_new_authority_of_the_api_server_is_shown_again() -> None:
    world = World()
    replica = world.replica()
    await replica.keeper.tend()
    world.cluster.front = replace(world.cluster.front, authorities=b"another")
    await replica.keeper.tend()
    assert len(replica.shown) == 2 and replica.shown[0] == replica.shown[1]


def test_keys_are_of_a_curve_that_everybody_knows() -> None:
    key = MAKER.first(START).current.parsed.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
