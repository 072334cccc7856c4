"""Settings of routes: what fits together, and a pointed word where something does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sinal_cli.roles.process import run_role
from sinal_crds.keyring import Keyring
from sinal_operator.cluster import routes
from sinal_operator.cluster.routes import BadOptions
from sinal_operator.cluster.routes import options as module

WELL: dict[str, Any] = {"mode": "ingress", "public_url": "https://in.example", "namespace": "sinal"}


def test_no_routes_need_no_settings() -> None:
    assert routes.read(mode="none", public_url="http://127.0.0.1:8080") is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"public_url": "http://127.0.0.1:8080"},
            "SINAL_PUBLIC_URL is 'http://127.0.0.1:8080': routes need a DNS name",
        ),
        ({"public_url": "https://[::1]"}, "SINAL_PUBLIC_URL"),
        ({"public_url": "in.example"}, "SINAL_PUBLIC_URL"),
        ({"public_url": "https://in.example/edge"}, "without a path"),
        ({"namespace": "Sinal"}, "SINAL_ROUTES_NAMESPACE is 'Sinal'"),
        ({"namespace": ""}, "SINAL_ROUTES_NAMESPACE is needed outside a pod"),
        ({"service": ""}, "SINAL_ROUTES_SERVICE"),
        ({"mode": "gateway"}, "SINAL_GATEWAY is '': write namespace/name"),
        ({"mode": "gateway", "gateway": "public"}, "SINAL_GATEWAY is 'public'"),
        ({"mode": "gateway", "gateway": "infra/public/https/443"}, "SINAL_GATEWAY"),
        (
            {"mode": "gateway", "gateway": "infra/public", "issuer": "ca"},
            "annotate Gateway infra/public",
        ),
        ({"issuer": "ca", "cluster_issuer": "letsencrypt"}, "keep one"),
        ({"annotations": {"sinal.dev/route": "x"}}, "SINAL_ROUTES_ANNOTATIONS has sinal.dev/route"),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(
    settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pod_namespace", lambda: None)
    with pytest.raises(BadOptions, match=re.escape(words)):
        routes.read(**{**WELL, **settings})


def test_in_a_pod_the_namespace_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pod_namespace", lambda: "sinal-system")
    found = routes.read(**{**WELL, "namespace": ""})
    assert found is not None
    assert found.namespace == "sinal-system"


def test_the_shared_host_is_that_of_the_public_url_whatever_its_port() -> None:
    found = routes.read(**{**WELL, "public_url": "https://In.Example:8443/"})
    assert found is not None
    assert found.shared_host == "in.example"


def test_a_gateway_may_be_named_with_a_section() -> None:
    found = routes.read(**{**WELL, "mode": "gateway", "gateway": "infra/public/https"})
    assert found is not None
    assert str(found.gateway) == "infra/public/https"


def test_the_process_says_what_does_not_fit_and_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keyring.json").write_bytes(Keyring.generate().to_json())
    monkeypatch.setenv("SINAL_KEYRING_FILE", str(tmp_path / "keyring.json"))
    monkeypatch.setenv("SINAL_ROUTES", "gateway")
    monkeypatch.setenv("SINAL_PUBLIC_URL", "https://in.example")
    assert run_role("operator", files=()) == 2
    assert "SINAL_GATEWAY is ''" in capsys.readouterr().err
