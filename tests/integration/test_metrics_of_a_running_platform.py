"""Every metric of the contract is set by the running system and served by the role that knows
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import nats
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.support.load import hotmart_sales, post_until_accepted
from tests.support.platform import Platform, running

SHOP = Path(__file__).parents[1] / "support" / "manifests" / "shop.yaml"
SALES = 12
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

# Name (as exposed) -> role, labels; the contract of dashboards and alerts.
CONTRACT: dict[str, tuple[str, set[str]]] = {
    "sinal_ingest_requests_total": ("ingest", {"tenant", "source", "status"}),
    "sinal_ingest_seconds_count": ("ingest", set()),
    "sinal_spool_events": ("ingest", set()),
    "sinal_queue_depth": ("housekeeping", {"tenant", "role"}),
    "sinal_queue_oldest_seconds": ("housekeeping", {"tenant", "role"}),
    "sinal_match_total": ("match", {"tenant", "rule", "decision"}),
    "sinal_match_seconds_count": ("match", set()),
    "sinal_capi_events_total": ("dispatch", {"tenant", "destination", "outcome"}),
    "sinal_capi_request_seconds_count": ("dispatch", {"destination"}),
    "sinal_breaker_state": ("dispatch", {"tenant", "destination"}),
    "sinal_dead_letters_total": ("match", {"tenant", "reason"}),
    "sinal_event_latency_seconds_count": ("match", {"tenant", "stage"}),
    "sinal_signal_coverage_ratio": ("housekeeping", {"tenant", "signal"}),
    "sinal_reconcile_total": ("operator", {"kind", "result"}),
    "sinal_reconcile_seconds_count": ("operator", {"kind"}),
    "sinal_objects": ("operator", {"kind", "ready"}),
    "sinal_build_info": ("api", {"version", "role"}),
    "sinal_capi_requests_total": ("dispatch", {"tenant", "destination", "verdict"}),
    "sinal_capi_last_success_timestamp_seconds": ("dispatch", {"tenant", "destination"}),
    "sinal_queue_read_timestamp_seconds": ("housekeeping", set()),
    "sinal_spool_limit_bytes": ("ingest", set()),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    folder = tmp_path_factory.mktemp("metrics")
    async with running(
        folder, [SHOP], settings={"SINAL_SPOOL_DIR": str(folder / "spool")}
    ) as started:
        yield started


async def scrape(session: aiohttp.ClientSession, platform: Platform, role: str) -> Series:
    async with session.get(f"{platform.url(role)}/metrics") as answer:
        assert answer.status == 200
        families = text_string_to_metric_families(await answer.text())
        return {
            (s.name, frozenset(s.labels.items())): s.value
            for family in families
            for s in family.samples
        }


async def wait_for(
    session: aiohttp.ClientSession,
    platform: Platform,
    where: str,
    name: str,
    at_least: float,
    /,
    **labels: str,
) -> float:
    """The value of a series once it is large enough; raises TimeoutError."""
    key = (name, frozenset(labels.items()))
    async with asyncio.timeout(60):
        while (
            value := (await scrape(session, platform, where)).get(key)
        ) is None or value < at_least:
            await asyncio.sleep(0.2)
    return value


@pytest.mark.asyncio(loop_scope="module")
async def test_each_role_serves_what_it_knows(platform: Platform) -> None:
    async with aiohttp.ClientSession() as session:
        platform.kill_role("match")
        await post_until_accepted(
            session, platform.webhook("loja", "hotmart"), hotmart_sales("M", SALES)
        )
        lane = {"tenant": "loja", "role": "match"}
        assert (
            await wait_for(session, platform, "housekeeping", "sinal_queue_depth", SALES, **lane)
            == SALES
        )
        await wait_for(session, platform, "housekeeping", "sinal_queue_oldest_seconds", 1, **lane)
        platform.start_role("match")
        await platform.settled(session, accepted=SALES)
        client = await nats.connect(platform.nats.url, connect_timeout=60)
        await client.publish("t.loja.in.click", b"no event at all")
        await client.close()
        await wait_for(
            session,
            platform,
            "match",
            "sinal_dead_letters_total",
            1,
            tenant="loja",
            reason="internal_error",
        )
        platform.roles["housekeeping"].kill()  # look at signals now, not in a minute
        platform.start_role("housekeeping")
        coverage = {"tenant": "loja", "signal": "em"}
        await platform.roles["housekeeping"].ready(lambda: platform._ready("housekeeping"))
        assert (
            await wait_for(
                session, platform, "housekeeping", "sinal_signal_coverage_ratio", 0.1, **coverage
            )
            == 1
        )
        await _check(session, platform)


async def _check(session: aiohttp.ClientSession, platform: Platform) -> None:
    roles = ("ingest", "match", "dispatch", "api", "housekeeping", "operator")
    scraped = {role: await scrape(session, platform, role) for role in roles}

    def value(role: str, name: str, **labels: str) -> float | None:
        return scraped[role].get((name, frozenset(labels.items())))

    # A queue that was never seen with work has no series: the new housekeeping process may have
    # found all empty.
    for name, (role, labels) in CONTRACT.items():
        if name.startswith("sinal_queue_"):
            continue
        found = [set(dict(key[1])) for key in scraped[role] if key[0] == name]
        assert found, f"{role} does not serve {name}"
        assert all(one == labels for one in found), (name, found[0])
    assert (
        value(
            "ingest", "sinal_ingest_requests_total", tenant="loja", source="webhook", status="202"
        )
        == SALES
    )
    assert value("ingest", "sinal_ingest_seconds_count") == SALES
    assert value("ingest", "sinal_spool_events") == 0
    matched = [v for (name, _), v in scraped["match"].items() if name == "sinal_match_total"]
    assert sum(matched) == SALES
    sent = {"tenant": "loja", "destination": "pixel"}
    assert value("dispatch", "sinal_capi_events_total", **sent, outcome="delivered") == SALES
    assert value("dispatch", "sinal_breaker_state", **sent) == 0
    assert (
        value("match", "sinal_event_latency_seconds_count", tenant="loja", stage="matched") == SALES
    )
    assert (
        value("dispatch", "sinal_event_latency_seconds_count", tenant="loja", stage="delivered")
        == SALES
    )
    assert value("operator", "sinal_objects", kind="Destination", ready="true") == 3
    assert value("operator", "sinal_objects", kind="Tenant", ready="true") == 2
    assert value("operator", "sinal_reconcile_total", kind="Tenant", result="created") == 2
    assert all(any(name == "sinal_build_info" for name, _ in scraped[role]) for role in roles)
