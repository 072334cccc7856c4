"""What the chart makes of the main combinations of values, to the byte.

The first is kept whole, of the others what differs from it. `UPDATE_GOLDEN=1 pytest tests/chart`
writes them anew.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sinal_cli.reference import readers
from sinal_crds.rights import RIGHTS

from tests.chart.support.helm import SINAL, Manifest, combination, name, objects, render
from tests.support.nats_process import nats_binary

GOLDEN = Path(__file__).parent / "golden"
FIRST = "own-services"
COMBINATIONS = sorted(path.stem for path in (SINAL / "ci").glob("*.yaml"))


def _whole(which: str) -> str:
    return render("--values", str(combination(which)))


def _difference(of: str, to: str) -> str:
    """The objects that are new or other, in the order of the rendering, after the names of those
    that are gone.
    """
    before = {name(manifest): _without_files(manifest) for manifest in objects(to)}
    after = {name(manifest): _without_files(manifest) for manifest in objects(of)}
    gone = "".join(f"# gone: {key}\n" for key in before if key not in after)
    changed = [manifest for key, manifest in after.items() if before.get(key) != manifest]
    return gone + yaml.safe_dump_all(changed, sort_keys=False, width=120, explicit_start=True)


def _without_files(manifest: Manifest) -> Manifest:
    """Rules and dashboards by their names only: what is in them has generators and tests of its
    own.
    """
    if manifest["kind"] == "PrometheusRule":
        return {**manifest, "spec": sorted(group["name"] for group in manifest["spec"]["groups"])}
    if "-dashboard-" in manifest["metadata"]["name"]:
        return {**manifest, "data": sorted(manifest["data"])}
    return manifest


@pytest.mark.parametrize("which", COMBINATIONS)
def test_rendering_is_as_kept(which: str) -> None:
    found = _whole(which) if which == FIRST else _difference(_whole(which), _whole(FIRST))
    golden = GOLDEN / f"{which}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8"), f"UPDATE_GOLDEN=1 writes {golden.name} anew"


@pytest.mark.parametrize("which", COMBINATIONS)
def test_rendering_twice_gives_the_same_bytes(which: str) -> None:
    assert _whole(which) == _whole(which)


def test_every_combination_is_kept_and_no_other() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == COMBINATIONS


def test_alerts_and_dashboards_lead_to_the_runbooks_of_the_values() -> None:
    enabled = (
        "--set",
        "monitoring.rules.enabled=true",
        "--set",
        "monitoring.dashboards.enabled=true",
    )
    own = "https://wiki.example/sinal"
    text = render(
        "--values", str(combination(FIRST)), *enabled, "--set", f"monitoring.runbookUrl={own}"
    )
    assert f"{own}/" in text
    assert "https://sinal.dev/docs/runbooks" not in text


def test_who_compiles_plans_and_who_reads_them_reserve_the_same_hosts() -> None:
    words = (
        "--values",
        str(combination(FIRST)),
        "--set",
        "config.reservedHosts={api.example.com,app.example.com}",
    )
    found = {
        m["metadata"]["name"]: m
        for m in objects(render(*words))
        if m["kind"] in ("Deployment", "StatefulSet")
    }
    told = [
        {
            one["name"]: one.get("value")
            for one in found[f"sinal-{role}"]["spec"]["template"]["spec"]["containers"][0]["env"]
        }
        for role in ("operator", "ingest")
    ]
    for variable in ("SINAL_PUBLIC_URL", "SINAL_ROUTES_SERVICE", "SINAL_RESERVED_HOSTS"):
        assert told[0][variable] == told[1][variable]
    assert told[0]["SINAL_RESERVED_HOSTS"] == "api.example.com,app.example.com"


@pytest.mark.parametrize("spool", ["emptyDir", "persistent"])
def test_a_role_takes_volumes_and_annotations_of_the_platforms_own(spool: str) -> None:
    """Such as the authority of a certificate of PostgreSQL's, which a URL names by
    `sslrootcert`.
    """
    values = {
        "revisionHistoryLimit": 2,
        "ingest": {
            "spool": {"mode": spool},
            "annotations": {"reloader.stakater.com/auto": "true"},
            "extraVolumes": [{"name": "authority", "configMap": {"name": "authority"}}],
            "extraVolumeMounts": [
                {"name": "authority", "mountPath": "/etc/authority", "readOnly": True}
            ],
        },
    }
    words = [
        part
        for key, value in values.items()
        for part in ("--set-json", f"{key}={json.dumps(value)}")
    ]
    found = objects(render("--values", str(combination(FIRST)), *words))
    kind = "StatefulSet" if spool == "persistent" else "Deployment"
    ingest = next(m for m in found if m["kind"] == kind and m["metadata"]["name"] == "sinal-ingest")
    pod = ingest["spec"]["template"]["spec"]
    assert ingest["metadata"]["annotations"] == {"reloader.stakater.com/auto": "true"}
    assert ingest["spec"]["revisionHistoryLimit"] == 2
    assert {"name": "authority", "configMap": {"name": "authority"}} in pod["volumes"]
    assert {"name": "authority", "mountPath": "/etc/authority", "readOnly": True} in pod[
        "containers"
    ][0]["volumeMounts"]


@pytest.mark.parametrize(
    ("value", "job"), [("migration", "sinal-migrate"), ("preparation", "sinal-prepare")]
)
def test_a_job_takes_what_its_platform_asks_of_every_pod(value: str, job: str) -> None:
    """The migration reaches the roles' PostgreSQL: without their authority and nodes it never came
    so far.
    """
    given: dict[str, Any] = {
        "extraEnv": [{"name": "PGSSLROOTCERT", "value": "/etc/authority/ca.crt"}],
        "extraVolumes": [{"name": "authority", "configMap": {"name": "authority"}}],
        "extraVolumeMounts": [{"name": "authority", "mountPath": "/etc/authority"}],
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
        "podLabels": {"team": "tracking"},
        "nodeSelector": {"pool": "jobs"},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
    }
    words = ("--values", str(combination(FIRST)), "--set-json", f"{value}={json.dumps(given)}")
    found = next(
        m for m in objects(render(*words)) if (m["kind"], m["metadata"]["name"]) == ("Job", job)
    )
    template = found["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    assert template["metadata"]["annotations"] == given["podAnnotations"]
    assert template["metadata"]["labels"]["team"] == "tracking"
    assert (pod["nodeSelector"], pod["tolerations"]) == (
        given["nodeSelector"],
        given["tolerations"],
    )
    assert given["extraVolumes"][0] in pod["volumes"]
    assert given["extraVolumeMounts"][0] in container["volumeMounts"]
    assert given["extraEnv"][0] in container["env"]


def test_authorities_reach_who_asks_them_and_without_the_keys_beside_them() -> None:
    given = {
        "nats": {"existingSecret": "nats-tls"},
        "postgres": {"configMap": "bundle"},
        "redis": {"configMap": "bundle"},
    }
    words = [
        word for name, ca in given.items() for word in ("--set-json", f"{name}.ca={json.dumps(ca)}")
    ]
    found = objects(
        render(
            "--values", str(combination(FIRST)), "--set", "redis.existingSecret=sinal-redis", *words
        )
    )
    pods = {
        m["metadata"]["name"]: m["spec"]["template"]["spec"]
        for m in found
        if m["kind"] in ("Deployment", "Job")
    }
    told = {
        name: {one["name"] for one in pod["containers"][0].get("env", ())}
        for name, pod in pods.items()
    }
    assert {name for name in told if "SINAL_NATS_URL" in told[name]} == {
        name for name in told if "SINAL_NATS_CA_FILE" in told[name]
    }
    assert {name for name in told if "SINAL_REDIS_URL" in told[name]} == {
        name for name in told if "SINAL_REDIS_CA_FILE" in told[name]
    }
    assert {name for name in told if "SINAL_DATABASE_URL" in told[name]} == {
        name for name in told if {"PGSSLMODE", "PGSSLROOTCERT"} <= told[name]
    }
    assert "sinal-migrate" in {name for name in told if "PGSSLROOTCERT" in told[name]}
    (volume,) = [one for one in pods["sinal-match"]["volumes"] if one["name"] == "authorities"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "nats-tls", "items": [{"key": "ca.crt", "path": "nats.crt"}]}},
        {"configMap": {"name": "bundle", "items": [{"key": "ca.crt", "path": "postgres.crt"}]}},
        {"configMap": {"name": "bundle", "items": [{"key": "ca.crt", "path": "redis.crt"}]}},
    ]
    for pod, variables in told.items():
        if variables & {"SINAL_NATS_CA_FILE", "SINAL_REDIS_CA_FILE", "PGSSLROOTCERT"}:
            mounts = {one["mountPath"] for one in pods[pod]["containers"][0]["volumeMounts"]}
            assert "/etc/sinal/authorities" in mounts, pod


def test_a_platforms_own_objects_are_part_of_the_release() -> None:
    secret = {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "sinal-postgres"},
        "spec": {"data": [{"secretKey": "url", "remoteRef": {"key": "{{ not a template }}"}}]},
    }
    words = (
        "--values",
        str(combination(FIRST)),
        "--set-json",
        f"extraObjects={json.dumps([secret])}",
    )
    assert secret in objects(render(*words))


@pytest.mark.parametrize(
    ("which", "more", "edge", "runtime"),
    [
        ("own-services", (), "sinal-keyring-edge", "sinal-keyring-runtime"),
        # ingest as a StatefulSet
        ("namespaced", (), "sinal-keyring-edge", "sinal-keyring-runtime"),
        ("own-services", ("--set", "keyring.split=false"), "sinal-keyring", "sinal-keyring"),
        ("own-services", ("--set", "preparation.enabled=false"), "sinal-keyring", "sinal-keyring"),
        ("own-services", ("--set", "keyring.existingSecret=ours"), "ours", "ours"),
        (
            "own-services",
            ("--set", "keyring.existingSecret=ours,keyring.split=true"),
            "ours-edge",
            "ours-runtime",
        ),
    ],
)
def test_a_role_mounts_the_keys_that_it_needs(
    which: str, more: tuple[str, ...], edge: str, runtime: str
) -> None:
    mounted: dict[str, str] = {}
    for manifest in objects(render("--values", str(combination(which)), *more)):
        volumes = manifest.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", [])
        for volume in volumes:
            if volume["name"] == "keyring":
                mounted[manifest["metadata"]["name"].removeprefix("sinal-")] = volume["secret"][
                    "secretName"
                ]
    whole = runtime.removesuffix("-runtime")
    workers = dict.fromkeys(("match", "dispatch", "api", "housekeeping"), runtime)
    assert mounted == {"operator": whole, "ingest": edge, **workers}


@pytest.mark.parametrize("which", COMBINATIONS)
def test_a_pod_is_given_no_variable_that_it_does_not_read(which: str) -> None:
    given = variables_of(which)
    for command, settings in readers().items():
        read = {f"SINAL_{variable.upper()}" for variable in settings.model_fields}
        assert given.get(command, {}).keys() <= read, command
    assert "SINAL_OTLP_ENDPOINT" in given["run match"]
    assert given["migrate"]


@pytest.mark.parametrize("which", COMBINATIONS)
def test_a_pod_understands_every_value_that_it_is_given(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = variables_of(which)
    for command, settings in readers().items():
        with monkeypatch.context() as environment:
            for name, value in given.get(command, {}).items():
                if value is not None:
                    environment.setenv(name, value)
            settings()  # raises for a value that it can't take
    assert given["run ingest"]["SINAL_EVENT_VERSION"] == "1"


def variables_of(which: str) -> dict[str, dict[str, str | None]]:
    """Our variables of each command's containers; None for a value out of a Secret."""
    more = ("--set", "config.otlpEndpoint=http://collector:4318")
    given: dict[str, dict[str, str | None]] = {}
    for manifest in objects(render("--values", str(combination(which)), *more)):
        spec = manifest.get("spec", {})
        pod = spec.get("jobTemplate", {"spec": spec})["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", []):
            words = container.get("args") or [""]
            command = " ".join(words[:2]) if words[0] == "run" else words[0]
            variables = {one["name"]: one.get("value") for one in container.get("env", [])}
            given[command] = {
                name: value for name, value in variables.items() if name.startswith("SINAL_")
            }
    return given


def nats_of(*words: str) -> dict[str, tuple[str, str]]:
    """Secret and key that each role's way to NATS is made of."""
    found: dict[str, tuple[str, str]] = {}
    for manifest in objects(render(*words)):
        spec = manifest.get("spec", {})
        pod = spec.get("jobTemplate", {"spec": spec})["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", []):
            told = {one["name"]: one for one in container.get("env", [])}
            ref = (told.get("NATS_PASSWORD") or told.get("SINAL_NATS_URL") or {}).get("valueFrom")
            if ref is not None and "SINAL_NATS_URL" in told:
                found[container["name"]] = (ref["secretKeyRef"]["name"], ref["secretKeyRef"]["key"])
    return found


USERS = ("--set", "nats.users.enabled=true,backup.enabled=true,autoscaling.mode=keda")


@pytest.mark.parametrize(
    ("which", "secret"), [("own-services", "sinal-nats"), ("evaluation", "sinal-nats-users")]
)
def test_each_role_has_a_user_of_nats_where_that_is_wanted(which: str, secret: str) -> None:
    values = ("--values", str(combination(which)))
    apart = nats_of(*values, *USERS)
    assert apart == {**{role: (secret, role) for role in RIGHTS}, "backup": (secret, "operator")}
    assert len(set(nats_of(*values).values())) == 1


def test_nats_takes_the_configuration_with_users(tmp_path: Path) -> None:
    rendered = objects(render("--values", str(combination("evaluation")), *USERS))
    (configured,) = (
        one
        for one in rendered
        if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "sinal-nats"
    )
    (server,) = (
        one
        for one in rendered
        if one["kind"] == "StatefulSet" and one["metadata"]["name"] == "sinal-nats"
    )
    (container,) = server["spec"]["template"]["spec"]["containers"]
    file = tmp_path / "nats.conf"
    file.write_text(configured["data"]["nats.conf"])
    passwords = {one["name"]: "n123e4" for one in container["env"]}
    assert len(passwords) == 1 + len(RIGHTS)
    done = subprocess.run(
        [nats_binary(), "-t", "-c", str(file)],
        env=passwords,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lacking = subprocess.run(
        [nats_binary(), "-t", "-c", str(file)],
        env={},
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert lacking.returncode != 0  # or the test of the variables above would say nothing
