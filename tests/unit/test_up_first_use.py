"""What `sinal up` prints and writes for the first try: it fits, it can be sourced, it names a page
that is admitted.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec

from sinal_cli.local import environment, first_use
from sinal_crds.plan import DestinationPlan, FunnelPlan, IntegrationPlan, TenantPlan

LONG = "x" * 43


def funnel(name: str, **more: Any) -> FunnelPlan:
    return FunnelPlan(
        name=name, type="Perpetual", public_key=f"fk_{name}", server_key_sha256="", **more
    )


def tenant(
    slug: str, *funnels: FunnelPlan, sells: str = "", gateway: str = "hotmart"
) -> TenantPlan:
    hook = IntegrationPlan(name=gateway, gateway=gateway, funnel=sells, token_sha256="")
    return TenantPlan(
        slug=slug,
        namespace="default",
        name=slug,
        uid=slug,
        destinations=(DestinationPlan(name="pixel", pixel_id="1"),),
        funnels=funnels,
        integrations=(hook,) if sells else (),
    )


def ready(*plans: TenantPlan) -> dict[str, Any]:
    return {
        "ingest": "http://127.0.0.1:8080",
        "public": "http://127.0.0.1:8080",
        "api": "http://127.0.0.1:8081",
        "metrics": "http://127.0.0.1:8083",
        "sandbox": "http://127.0.0.1:8082",
        "graph": "http://127.0.0.1:8082",
        "admin_key": "sak_" + "k" * 32,
        "tenants": {
            plan.slug: {
                "funnels": {
                    f.name: {"public_key": f.public_key, "server_key": "sk_it's"}
                    for f in plan.funnels
                },
                "webhooks": {
                    i.name: {
                        "gateway": i.gateway,
                        "url": f"http://h/t/{plan.slug}/{i.gateway}/{LONG}",
                    }
                    for i in plan.integrations
                },
            }
            for plan in plans
        },
    }


def sourced(file: Path, name: str) -> str:
    """What a shell has in a variable after sourcing the file."""
    done = subprocess.run(
        ["/bin/sh", "-euc", f'. "{file}"; printf %s "${name}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_first_try_takes_a_funnel_that_sells_and_sends_and_a_page_of_its_hosts() -> None:
    plan = tenant(
        "loja",
        funnel("bare"),
        funnel("sends", destinations=("pixel",), landing_hosts=("only.example",)),
        funnel("sells", destinations=("pixel",), landing_hosts=("*.loja.example", "curso.example")),
        sells="sells",
    )
    chosen = first_use.first_try([plan], ready(plan))
    assert (chosen["TENANT"], chosen["PUBLIC_KEY"]) == ("loja", "fk_sells")
    assert chosen["PAGE"].startswith("https://curso.example/?fbclid=")


def test_a_wildcard_alone_becomes_a_host_below_it() -> None:
    plan = tenant("loja", funnel("f", landing_hosts=("*.loja.example",)))
    assert first_use.first_try([plan], ready(plan))["PAGE"].startswith("https://www.loja.example/")


def test_lines_fit_into_80_columns_and_no_secret_of_a_webhook_is_on_the_screen(
    tmp_path: Path,
) -> None:
    plan = tenant("loja", funnel("curso", destinations=("pixel",)), sells="curso")
    told = first_use.lines(ready(plan), [plan], Path(".sinal"))
    assert max(map(len, told)) <= 80
    assert "  . .sinal/env" in told
    assert not any(LONG in line for line in told)


def test_without_a_funnel_it_says_how_to_have_one() -> None:
    assert "--file examples" in first_use.lines(ready(), [], Path(".sinal"))[-1]


def test_the_file_can_be_sourced_and_is_its_owners_alone(tmp_path: Path) -> None:
    plan = tenant("loja", funnel("curso"), sells="curso")
    file = environment.write(tmp_path, ready(plan), first_use.first_try([plan], ready(plan)))
    assert file.stat().st_mode & 0o777 == 0o600
    assert sourced(file, "SERVER_KEY") == "sk_it's"
    assert sourced(file, "SINAL_API_URL") == sourced(file, "API") == "http://127.0.0.1:8081"
    assert sourced(file, "WEBHOOK_URL") == sourced(file, "WEBHOOK_URL_HOTMART")
    assert sourced(file, "PATH").startswith(environment.scripts())


def test_two_integrations_of_one_name_have_variables_of_their_own() -> None:
    one, two = (tenant(slug, funnel("f"), sells="f", gateway="kiwify") for slug in ("loja", "bolo"))
    found = environment.webhooks(ready(one, two))
    assert found["WEBHOOK_URL_LOJA_KIWIFY"] != found["WEBHOOK_URL_BOLO_KIWIFY"]
    assert "WEBHOOK_URL_KIWIFY" not in found


def test_with_a_graph_api_of_the_users_no_sandbox_is_named(tmp_path: Path) -> None:
    said = {k: v for k, v in ready().items() if k != "sandbox"} | {
        "graph": "https://graph.facebook.com"
    }
    assert "SANDBOX" not in environment.text(said, {})
    assert any("https://graph.facebook.com" in line for line in first_use.lines(said, [], tmp_path))
    assert msgspec.json.encode(said)
