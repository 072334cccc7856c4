"""Over services of one's own the migration is a hook: it runs before the pods, beside them, again,
or it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sinal_hub.store.migrate import load_migrations

from tests.chart.support import previous
from tests.cluster.support.waiting import until
from tests.e2e.support import inside
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.own import OwnServices
from tests.e2e.support.release import Release
from tests.e2e.support.timeline import Timeline

MIGRATE = "sinal-migrate"
PRESENT = {one.version: one.checksum for one in load_migrations()}
LATER = (
    "insert into schema_migrations (version, name, checksum) values (9999, "
    "'of_a_later_release', '')"
)
REFUSAL_S = 30


@pytest.fixture(scope="module")
def own(
    cluster: Cluster, release: Release, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnServices]:
    """Services and Secrets, nothing installed over them.

    The definitions are those of the other release.
    """
    own = OwnServices(cluster, tmp_path_factory.mktemp("helm"))
    try:
        own.provide()
        yield own
    finally:
        own.take_away()


def test_the_hook_makes_the_tables_before_there_is_a_pod(
    own: OwnServices, timeline: Timeline
) -> None:
    with timeline.seconds("own_services_install_s"):
        own.install_previous()
    assert {name: hook.phase for name, hook in own.hooks().items()} == {
        "sinal-prepare": "Succeeded",
        MIGRATE: "Succeeded",
    }
    assert own.hooks()["sinal-prepare"].completed <= own.hooks()[MIGRATE].started
    assert min(own.pods().values()) >= own.hooks()[MIGRATE].completed.replace(microsecond=0)
    assert migrated(own) == previous.migrations()
    assert inside.query(
        own.kubectl, "select distinct tableowner from pg_tables where schemaname = 'public'"
    ) == [["sinal"]]


def test_the_hook_migrates_beside_the_pods_of_before(own: OwnServices, timeline: Timeline) -> None:
    """None of them goes, and none of the new ones comes, before it has ended well."""
    before = own.pods()
    with timeline.seconds("own_services_upgrade_s"):
        own.upgrade()
    hook, after = own.hooks()[MIGRATE], own.pods()
    assert hook.phase == "Succeeded"
    assert after.keys().isdisjoint(before)
    assert min(after.values()) >= hook.completed.replace(microsecond=0)
    assert migrated(own) == PRESENT


def test_the_hook_may_run_twice(own: OwnServices) -> None:
    first, before = own.hooks()[MIGRATE], own.pods()
    own.upgrade()
    second = own.hooks()[MIGRATE]
    assert second.phase == "Succeeded"
    assert second.started > first.completed
    assert own.pods() == before
    assert migrated(own) == PRESENT
    assert own.kubectl.get("job", MIGRATE) == {}


def test_a_hook_that_refuses_changes_nothing_and_says_why(own: OwnServices) -> None:
    """The database is a later release's: Helm stops before the pods.

    The Job is kept for whoever asks.
    """
    before = own.pods()
    inside.query(own.kubectl, LATER)
    with pytest.raises(AssertionError, match="pre-upgrade hooks failed"):
        own.upgrade(timeout_s=REFUSAL_S)
    said = until(lambda: own.kubectl.run("logs", f"job/{MIGRATE}").stdout, timeout_s=60, pause_s=1)
    assert "9999_of_a_later_release, which this release does not know" in said
    assert own.pods() == before
    inside.query(own.kubectl, "delete from schema_migrations where version = 9999")
    own.upgrade()
    assert own.hooks()[MIGRATE].phase == "Succeeded"


def migrated(own: OwnServices) -> dict[int, str]:
    """Checksum of each migration that the database has."""
    return dict(
        map(tuple, inside.query(own.kubectl, "select version, checksum from schema_migrations"))
    )
