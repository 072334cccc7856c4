"""`GET /s.js`: each funnel's script, cached and compressed, small, and nothing for keys of
nobody.
"""

from __future__ import annotations

import gzip
import json
import re
from importlib.resources import files

import msgspec
import pytest

from sinal_core.http.exchange import Request
from sinal_crds.names import own_path
from sinal_crds.plan import ConsentPlan
from sinal_hub.ingest.tracking.script import PLACE, Config, Rendered, base_of

from tests.support.fix_ingest import OTHER, OTHER_PUBLIC_KEY, PUBLIC_KEY, EdgeWorld, a_tenant

PROGRAM = files("sinal_hub.ingest.tracking").joinpath("s.min.js").read_bytes()
SECOND = files("sinal_hub.ingest.tracking").joinpath("s2.min.js").read_bytes()
SIX_KB = 6 * 1024  # as served, with its configuration


def config_of(body: bytes) -> dict[str, object]:
    """What the script was told."""
    start, end = PROGRAM.split(PLACE)
    told = json.loads(body.removeprefix(start).removesuffix(end))
    return dict(zip(("key", "tenant", "batch", "consent", "early", "hosts"), told, strict=True))


async def test_a_tenants_own_host_serves_its_funnels_script(edge_world: EdgeWorld) -> None:
    reply = await edge_world.client(host="t.loja.example").get(f"/s.js?f={PUBLIC_KEY}")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=300"
    assert config_of(reply.body) == {
        "key": PUBLIC_KEY,
        "tenant": "loja",
        "batch": f"//t.loja.example/{own_path('loja')}",
        "consent": True,
        "early": True,
        "hosts": ["curso.example", "*.promo.example"],
    }


@pytest.mark.parametrize("path", ["/s.js", "/t/loja/s.js", f"/t/loja/{own_path('loja')}/s.js"])
async def test_the_second_part_is_one_for_all_and_cached_like_the_first(
    edge_world: EdgeWorld, path: str
) -> None:
    client = edge_world.client()
    first = await client.get(f"{path}?f={PUBLIC_KEY}")
    second = await client.get(f"{path}?part=2&f={PUBLIC_KEY}", headers={"Accept-Encoding": "gzip"})
    assert second.status == 200 and gzip.decompress(second.body) == SECOND != first.body
    for name in (
        "content-type",
        "cache-control",
        "vary",
        "access-control-allow-origin",
        "x-content-type-options",
    ):
        assert second.headers[name] == first.headers[name], name
    known = {"If-None-Match": second.headers["etag"]}
    assert (await client.get(f"{path}?part=2&f={PUBLIC_KEY}", headers=known)).status == 304
    assert (await client.get(f"{path}?part=2&f=fk_nobody")).status == 404


@pytest.mark.parametrize("path", ["/s.js", "/t/loja/s.js"])
async def test_the_shared_host_collects_below_the_tenants_path(
    edge_world: EdgeWorld, path: str
) -> None:
    reply = await edge_world.client().get(f"{path}?f={PUBLIC_KEY}")
    assert (
        reply.status == 200
        and config_of(reply.body)["batch"] == f"//ingest.example/t/loja/{own_path('loja')}"
    )


@pytest.mark.parametrize(
    ("host", "headers", "base"),
    [
        ("t.loja.example", {}, "//t.loja.example"),
        ("t.loja.example:8443", {}, "//t.loja.example:8443"),
        ("t.loja.example", {"x-forwarded-proto": "https"}, "https://t.loja.example"),
        # a page over HTTPS may not post there
        ("t.loja.example", {"x-forwarded-proto": "http"}, "//t.loja.example"),
        ("127.0.0.1:8080", {}, "http://127.0.0.1:8080"),
        ("localhost:8080", {}, "http://localhost:8080"),
        ('x"</script>', {}, ""),
    ],
)
def test_the_script_knows_where_it_came_from(host: str, headers: dict[str, str], base: str) -> None:
    # caching plugins serve it from the site itself, where nobody takes its events
    asked = Request.whole("GET", "/s.js", headers=[], body=b"", peer=None)
    asked.headers = {"host": host, **headers}
    assert base_of(asked, trusted_proxies=1) == base


def test_a_forwarded_scheme_of_nobody_trusted_is_nothing() -> None:
    asked = Request.whole("GET", "/s.js", headers=[], body=b"", peer=None)
    asked.headers = {"host": "t.loja.example", "x-forwarded-proto": "https"}
    assert base_of(asked, trusted_proxies=0) == "//t.loja.example"


async def test_the_funnels_consent_rules_reach_the_page(edge_world: EdgeWorld) -> None:
    tenant = a_tenant()
    strict = ConsentPlan(default="Denied", cookies_before_consent=False)
    funnel = msgspec.structs.replace(tenant.funnels[0], consent=strict)
    edge_world.tenants = (msgspec.structs.replace(tenant, funnels=(funnel,)), OTHER)
    told = config_of((await edge_world.client().get(f"/s.js?f={PUBLIC_KEY}")).body)
    assert (told["consent"], told["early"]) == (False, False)


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("ingest.example", "/s.js"),
        ("ingest.example", "/s.js?f="),
        ("ingest.example", "/s.js?f=fk_nobody"),
        ("ingest.example", f"/s.js?f={'x' * 5000}"),
        ("ingest.example", f"/t/outra/s.js?f={PUBLIC_KEY}"),
        ("ingest.example", f"/t/nobody/s.js?f={PUBLIC_KEY}"),
        ("t.loja.example", f"/s.js?f={OTHER_PUBLIC_KEY}"),
    ],
)
async def test_a_key_that_is_not_here_gets_a_comment(
    edge_world: EdgeWorld, host: str, path: str
) -> None:
    reply = await edge_world.client(host=host).get(path)
    assert reply.status == 404
    assert reply.headers["content-type"].startswith("text/javascript")
    assert reply.headers["cache-control"] == "no-store", "the key may exist in a moment"
    assert re.fullmatch(rb"/\*[^*]*\*/\n", reply.body)


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.8", "deflate, *", "GZIP"])
async def test_it_is_compressed_for_who_takes_it(edge_world: EdgeWorld, accepted: str) -> None:
    client = edge_world.client()
    packed = await client.get(f"/s.js?f={PUBLIC_KEY}", headers={"Accept-Encoding": accepted})
    plain = await client.get(f"/s.js?f={PUBLIC_KEY}")
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.0", "identity"])
async def test_it_is_plain_for_who_does_not(edge_world: EdgeWorld, accepted: str) -> None:
    reply = await edge_world.client().get(
        f"/s.js?f={PUBLIC_KEY}", headers={"Accept-Encoding": accepted}
    )
    assert reply.status == 200 and "content-encoding" not in reply.headers


async def test_a_browser_that_has_it_is_told_so(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    etag = (await client.get(f"/s.js?f={PUBLIC_KEY}")).headers["etag"]
    for known in (etag, f'"x", {etag}', etag.removeprefix("W/"), "*"):
        reply = await client.get(f"/s.js?f={PUBLIC_KEY}", headers={"If-None-Match": known})
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in reply.headers
    assert (
        await client.get(f"/s.js?f={PUBLIC_KEY}", headers={"If-None-Match": '"x"'})
    ).status == 200


async def test_its_tag_changes_with_the_configuration(edge_world: EdgeWorld) -> None:
    before = (await edge_world.client().get(f"/s.js?f={PUBLIC_KEY}")).headers["etag"]
    funnel = msgspec.structs.replace(a_tenant().funnels[0], landing_hosts=("nova.example",))
    edge_world.tenants = (a_tenant(funnels=(funnel,)), OTHER)
    assert (await edge_world.client().get(f"/s.js?f={PUBLIC_KEY}")).headers["etag"] != before


async def test_it_can_be_asked_for_by_head_and_not_posted_to(edge_world: EdgeWorld) -> None:
    client = edge_world.client()
    assert (await client.send("HEAD", f"/s.js?f={PUBLIC_KEY}")).status == 200
    assert (await client.post(f"/s.js?f={PUBLIC_KEY}")).status == 405


def test_the_script_of_a_funnel_with_nine_hosts_is_at_most_six_kilobytes() -> None:
    hosts = tuple(
        f"{name}.minha-loja-de-cursos.com.br"
        for name in ("www", "lp", "quiz", "aula", "obrigado", "blog", "ead", "app", "vip")
    )
    config = Config(
        key="fk_" + "a1B2c3D4" * 4, tenant="minha-loja-de-cursos", path="/t/minha-loja-de-cursos", consent=False,
        early=False, hosts=hosts, base="https://track.minha-loja-de-cursos.com.br",
    )  # fmt: skip
    assert len(Rendered(PROGRAM, config).compressed) <= SIX_KB


def test_the_script_runs_under_a_strict_content_security_policy() -> None:
    assert PROGRAM.count(PLACE) == 1, "the one place where the edge writes the configuration"
    text = (PROGRAM + SECOND).decode()
    assert not re.search(
        r"\beval\(|new "
        r"Function|\.innerHTML|document\.write\(|setTimeout\(['\"]",
        text,
    )


def test_the_script_is_of_2018() -> None:
    text = (PROGRAM + SECOND).decode()
    assert not re.search(
        r"\?\?|\?\.[a-z(\[]|catch\{|\|\|=|\d_\d|#[a-z]+[;=(]|(?<=\d)n\b(?=[,;)])", text
    )
