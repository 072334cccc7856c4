"""One cluster, one release: installed once, then used by all tests in the order below, taken away
by the last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import volumes
from tests.e2e.support.cluster import Cluster, NoCluster
from tests.e2e.support.release import NAMESPACE, PUBLIC_HOST, ROOT, Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.site import Site
from tests.e2e.support.timeline import Timeline

# A story: what a module leaves behind is where the next begins.
ORDER = ("first_conversion", "upgrade", "pods", "kubectl_plugin", "autoscaling", "rollouts", "faults", "uninstall",
         "own_services")  # fmt: skip
MANIFESTS = Path(__file__).parent / "manifests"

_timeline = pytest.StashKey[Timeline]()


def pytest_configure(config: pytest.Config) -> None:
    """A run has one timeline."""
    config.stash[_timeline] = Timeline()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the story's order, each test with minutes in place of the seconds of other tests."""
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in here:
        item.add_marker(pytest.mark.timeout(600))
    told = sorted(here, key=lambda item: ORDER.index(item.path.stem.removeprefix("test_")))
    items[:] = [*(item for item in items if item not in here), *told]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The figures of the run."""
    terminalreporter.section("timeline")
    terminalreporter.write_line(str(config.stash[_timeline]))


@pytest.fixture(scope="session")
def timeline(pytestconfig: pytest.Config) -> Timeline:
    """Figures of this run."""
    return pytestconfig.stash[_timeline]


@pytest.fixture(scope="session")
def cluster(timeline: Timeline) -> Cluster:
    """The cluster, with our images, Traefik and the sandbox in it."""
    try:
        cluster = Cluster.of_environment()
    except NoCluster as error:
        pytest.fail(str(error), pytrace=False)
    with timeline.seconds("images_loaded_s"):
        images = cluster.images
        for image in (
            images.sinal,
            images.previous,
            images.sandbox,
            images.services,
            images.traefik,
        ):
            cluster.load(image)
    with timeline.seconds("surroundings_s"):
        volumes.provide(cluster)
        admin = cluster.kubectl()
        for name in ("traefik", "sandbox"):
            text = (MANIFESTS / f"{name}.yaml").read_text()
            admin.apply(
                text.replace("SANDBOX_IMAGE", images.sandbox).replace(
                    "TRAEFIK_IMAGE", images.traefik
                )
            )
        cluster.kubectl("edge").do("rollout", "status", "deployment/traefik", "--timeout=120s")
        cluster.kubectl("meta").do("rollout", "status", "deployment/sandbox", "--timeout=120s")
    return cluster


@pytest.fixture(scope="session")
def release(
    cluster: Cluster, timeline: Timeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """The charts of the version before, installed and ready.

    `test_upgrade` makes them the present ones.
    """
    cluster.kubectl().apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    release = Release(cluster, tmp_path_factory.mktemp("helm"))
    cluster.kubectl().apply(MANIFESTS / "doors.yaml")
    release.installed_at = time.monotonic()
    with timeline.seconds("helm_install_s"):
        release.install_previous()
    yield release


@pytest.fixture(scope="session")
def shop(cluster: Cluster, release: Release) -> Shop:
    """The shop of `examples/`, ready."""
    cluster.kubectl().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "loja"}})
    kubectl = cluster.kubectl("loja")
    kubectl.apply(ROOT / "examples")
    for kind in ("tenant", "destination", "funnel", "gatewayintegration"):
        kubectl.wait(kind, timeout_s=120)
    return Shop(
        Site(release.kubectl, kubectl),
        edge=cluster.node_port("edge", "traefik"),
        host=PUBLIC_HOST,
        api=cluster.node_port(NAMESPACE, "api-door"),
        sandbox=cluster.node_port("meta", "sandbox"),
    )
