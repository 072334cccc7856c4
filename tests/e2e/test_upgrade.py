"""From the version before to the present one and back, charts and code, while clicks and sales come
in.

The code before is the wheel in `previous`, built into an image of its own; that pods run it, and
later the present one, is read from inside them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from sinal_hub.store.migrate import load_migrations

from tests.chart.support import previous
from tests.cluster.support.waiting import until
from tests.e2e.support import fingerprint, inside
from tests.e2e.support.cluster import Cluster
from tests.e2e.support.release import Release
from tests.e2e.support.shop import Shop
from tests.e2e.support.site import KINDS
from tests.e2e.support.timeline import Timeline

Job = dict[str, Any]
OLDER, PRESENT = (
    fingerprint.digest(files)
    for files in (fingerprint.packed(previous.wheel()), fingerprint.installed())
)
# What a migration of a release to come may do to a release that runs beside it: columns that it
# doesn't know.
TABLES = ("events", "conversions", "capi_events")
LATER = (
    *(
        f"alter table {table} add column of_a_later_release text not null default 'x'"
        for table in TABLES
    ),
    "insert into schema_migrations (version, name, checksum) values (9999, 'of_a_later_release', "
    "'')",
)
NOT_LATER = (
    "delete from schema_migrations where version = 9999",
    *(f"alter table {table} drop column of_a_later_release" for table in TABLES),
)


def test_upgrading_under_load_loses_nothing(
    cluster: Cluster, release: Release, shop: Shop, timeline: Timeline
) -> None:
    """Objects, what they are told to be and what was sold stay.

    The database is migrated beside the pods before.
    """
    assert OLDER != PRESENT
    assert code_of_every_pod(release) == {OLDER}
    assert migrated(release) == previous.migrations()
    before, sold, before_jobs = release.version(), shop.ledger()["accepted"], migrations(release)
    declared, keyring = declarations(shop), shop.site.secret("keyring", "keyring.json")
    with shop.traffic(per_second=10, clicks=True) as traffic:
        traffic.wait_for(20)
        with timeline.seconds("upgrade_s"):
            release.upgrade()
        traffic.wait_for(20)
    timeline.count("upgrade", traffic, shop.prove(traffic))
    timeline.note("upgraded", f"{before} to {release.version()}")
    assert release.version() != before
    assert images(release) == {cluster.images.sinal}
    assert code_of_every_pod(release) == {PRESENT}
    assert migrations(release).keys().isdisjoint(before_jobs)
    until(
        lambda: all(job["status"].get("succeeded") == 1 for job in migrations(release).values()),
        timeout_s=120,
    )
    assert migrated(release) == {one.version: one.checksum for one in load_migrations()}
    assert hooks(release) == {"sinal-prepare": "Succeeded"}
    assert_kept(declared, declarations(shop))
    assert shop.site.secret("keyring", "keyring.json") == keyring
    assert shop.ledger()["accepted"] >= sold + len(traffic.accepted) + len(traffic.clicked)


def test_going_back_and_forth_under_load_loses_nothing(
    cluster: Cluster, release: Release, shop: Shop, timeline: Timeline
) -> None:
    """The older release takes the place of the newer one, over a database that a still later one
    has migrated.
    """
    after, declared = release.version(), declarations(shop)
    with shop.traffic(per_second=10, clicks=True) as traffic:
        traffic.wait_for(20)
        with later_database(release):
            traffic.wait_for(20)
            with timeline.seconds("rollback_s"):
                release.rollback()
            assert release.version() != after
            assert images(release) == {cluster.images.previous}
            assert code_of_every_pod(release) == {OLDER}
            traffic.wait_for(20)
        release.upgrade()
        traffic.wait_for(20)
    timeline.count("rollback", traffic, shop.prove(traffic))
    assert release.version() == after
    assert code_of_every_pod(release) == {PRESENT}
    assert declarations(shop) == declared


def test_sales_are_written_in_the_newer_version_and_back_under_load(
    release: Release, shop: Shop, timeline: Timeline
) -> None:
    """What `config.eventVersion` changes: the same workers read sales of both at once."""
    assert versions_of_sales(release) <= {1}, "the release before has to read them"
    config = release.values["config"]
    with shop.traffic(per_second=10) as traffic:
        traffic.wait_for(20)
        with timeline.seconds("event_version_s"):
            release.install(config={**config, "eventVersion": 2})
        traffic.wait_for(20)
        release.install()
        traffic.wait_for(20)
    timeline.count("event_version", traffic, shop.prove(traffic))
    assert versions_of_sales(release) == {1, 2}


@contextlib.contextmanager
def later_database(release: Release) -> Iterator[None]:
    """Tables as a release to come may leave them when it is taken back."""
    for statement in LATER:
        inside.query(release.kubectl, statement)
    try:
        yield
    finally:
        for statement in NOT_LATER:
            inside.query(release.kubectl, statement)


def code_of_every_pod(release: Release) -> set[str]:
    """Digests of what the pods of all roles run: one, when they run the same."""
    found = inside.codes(release.kubectl)
    assert all(found.values()), f"roles without a ready pod: {found}"
    return set().union(*found.values())


def migrated(release: Release) -> dict[int, str]:
    """Checksum of each migration that the database has."""
    rows = inside.query(release.kubectl, "select version, checksum from schema_migrations")
    return {version: checksum for version, checksum in rows}


def versions_of_sales(release: Release) -> set[int]:
    """In which versions the sales that are stored were written."""
    versions = "select distinct coalesce((body ->> 'v')::int, 1) from events where kind = 'sale'"
    return {version for (version,) in inside.query(release.kubectl, versions + " and body <> '{}'")}


def declarations(shop: Shop) -> dict[tuple[str, str], tuple[str, Any]]:
    """Every object of the shop: the same object still, with the same spec."""
    items = json.loads(shop.site.shop.do("get", KINDS, "-o", "json"))["items"]
    return {
        (item["kind"], item["metadata"]["name"]): (item["metadata"]["uid"], item.get("spec"))
        for item in items
    }


def assert_kept(
    before: dict[tuple[str, str], tuple[str, Any]], after: dict[tuple[str, str], tuple[str, Any]]
) -> None:
    """The same objects, told the same.

    The API server has filled in the defaults of fields that are new.
    """
    assert {key: uid for key, (uid, _) in after.items()} == {
        key: uid for key, (uid, _) in before.items()
    }
    for key, (_, spec) in before.items():
        assert told(spec, after[key][1]) == spec, key


def told(before: Any, after: Any) -> Any:
    """Of what is there now, the fields that were there before."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return {field: told(before[field], value) for field, value in after.items() if field in before}


def images(release: Release) -> set[str]:
    """What the release's Deployments run."""
    return {
        item["spec"]["template"]["spec"]["containers"][0]["image"]
        for item in release.kubectl.list("deployments")
    }


def migrations(release: Release) -> dict[str, Job]:
    """The Jobs that migrate the database, by name."""
    return {
        job["metadata"]["name"]: job
        for job in release.kubectl.list("jobs")
        if job["metadata"]["labels"].get("app.kubernetes.io/component") == "migrate"
    }


def hooks(release: Release) -> dict[str, str]:
    """The Jobs that Helm ran before the present revision, and how they ended.

    It deletes them when they succeed.
    """
    return {
        hook["name"]: hook["last_run"]["phase"]
        for hook in release.helm.status("sinal")["hooks"]
        if hook["kind"] == "Job" and "pre-upgrade" in hook["events"]
    }
