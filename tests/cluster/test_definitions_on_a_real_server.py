"""What the definitions promise beside validation: names, selectors and lists for kubectl, and what
must not change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from sinal_crds.schema import FACES

from tests.cluster.support import shop
from tests.cluster.support.control_plane import ControlPlane
from tests.cluster.support.kubectl import Kubectl


@pytest.fixture(scope="module")
def there(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl in a namespace with a shop and a second tenant, which no test changes and no operator
    sees.
    """
    admin = Kubectl(control_plane.kubeconfig)
    namespace = f"t-{uuid4().hex[:8]}"
    admin.do("create", "namespace", namespace)
    found = admin.in_namespace(namespace)
    second = [
        shop.tenant("second", slug="second"),
        shop.destination("other", of="second", pixel="87654321"),
    ]
    found.apply({**shop.shop(), "items": [*shop.shop()["items"], *second]})
    yield found
    found.do("delete", "sinal", "--all", "--timeout=120s")


def names(kubectl: Kubectl, what: str, *options: str) -> set[str]:
    """Kind and name of what `kubectl get` finds."""
    return set(kubectl.do("get", what, "-o", "name", *options).split())


def of(plural: str, name: str) -> str:
    return f"{plural[:-1]}.sinal.dev/{name}"


def test_one_word_finds_every_kind_and_short_names_find_each(there: Kubectl) -> None:
    everything = {
        of("tenants", "loja"),
        of("tenants", "second"),
        of("destinations", "pixel"),
        of("destinations", "other"),
        of("funnels", "curso"),
        of("gatewayintegrations", "vendas"),
    }
    assert names(there, "sinal") == everything
    assert names(there, ",".join(face.short for face in FACES.values())) == everything


@pytest.mark.parametrize(
    ("what", "selector", "found"),
    [
        ("tn", "spec.slug=second", "second"),
        ("dest", "spec.tenantRef=loja", "pixel"),
        ("dest", "spec.meta.pixelId=87654321", "other"),
        ("fn", "spec.type=DirectSale", "curso"),
        ("gwi", "spec.funnelRef=curso", "vendas"),
        ("gwi", "spec.gateway=hotmart", "vendas"),
    ],
)
def test_objects_are_selected_by_their_fields(
    there: Kubectl, what: str, selector: str, found: str
) -> None:
    plural = next(face.plural for face in FACES.values() if face.short == what)
    assert names(there, what, f"--field-selector={selector}") == {of(plural, found)}


@pytest.mark.parametrize(
    ("what", "name", "change", "field"),
    [
        ("tn", "loja", {"slug": "another"}, "spec.slug"),
        ("dest", "pixel", {"tenantRef": "another"}, "tenantRef"),
        ("fn", "curso", {"tenantRef": "another"}, "tenantRef"),
        ("gwi", "vendas", {"tenantRef": "another"}, "tenantRef"),
        ("gwi", "vendas", {"gateway": "stripe"}, "gateway"),
    ],
)
def test_what_nats_and_urls_hang_on_never_changes(
    there: Kubectl, what: str, name: str, change: dict[str, Any], field: str
) -> None:
    done = there.run("patch", what, name, "--type=merge", f"--patch={json.dumps({'spec': change})}")
    assert done.returncode != 0
    assert field in done.stderr and "is immutable" in done.stderr


def test_a_slug_that_says_what_the_name_said_is_no_change(there: Kubectl) -> None:
    there.do("patch", "tn", "loja", "--type=merge", '--patch={"spec":{"slug":"loja"}}')


def test_two_people_apply_parts_of_one_list(there: Kubectl) -> None:
    """Lists of objects merge by their keys: server-side apply of one entry leaves the others'
    alone.
    """

    def applied(by: str, when: str, send: str) -> None:
        spec = {"tenantRef": "loja", "events": [{"when": when, "send": send}]}
        manifest = {
            "apiVersion": "sinal.dev/v1alpha1",
            "kind": "Funnel",
            "metadata": {"name": "shared"},
            "spec": spec,
        }
        there.do(
            "apply", "--server-side", f"--field-manager={by}", "-f", "-", stdin=json.dumps(manifest)
        )

    applied("a", "approved", "Purchase")
    applied("b", "lead", "Lead")
    events = there.get("fn", "shared")["spec"]["events"]
    there.do("delete", "fn", "shared")
    assert {(one["when"], one["send"]) for one in events} == {
        ("approved", "Purchase"),
        ("lead", "Lead"),
    }


def test_wide_columns_are_there_for_every_kind(there: Kubectl) -> None:
    for face in FACES.values():
        narrow, wide = (
            there.do("get", face.short, *extra).splitlines()[0] for extra in ((), ("-o", "wide"))
        )
        for column, _, _, priority in face.columns:
            assert column.upper() in wide
            assert (column.upper() in narrow) or priority == 1
        assert len(wide.split()) > len(narrow.split())
