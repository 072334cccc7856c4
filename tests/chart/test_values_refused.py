"""Values that can't work are refused before anything is installed, with the name of the value and
the way out.
"""

from __future__ import annotations

import pytest

from tests.chart.support.helm import combination, template

BASE = ("--values", str(combination("own-services")))

BY_SCHEMA = {
    "autoscaling.mode=hpa": ("/autoscaling/mode", "'none', 'cpu', 'keda', 'external-metrics'"),
    "autoscalling.mode=keda": ("autoscalling",),
    "ingest.replica=3": ("/ingest", "replica"),
    "match.replicas=-1": ("/match/replicas", "minimum: got -1, want 0"),
    "match.replicas=two": ("/match/replicas", "got string, want integer"),
    "nats.replicas=7": ("/nats/replicas", "maximum: got 7, want 5"),
    "image.digest=latest": ("/image/digest", "sha256"),
    "image.pullPolicy=always": ("/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"),
    "config.publicUrl=in.example.com": ("/config/publicUrl", "https?"),
    "config.logLevel=trace": ("/config/logLevel", "'debug', 'info', 'warning', 'error'"),
    "ingest.spool.mode=disk": ("/ingest/spool/mode", "'none', 'emptyDir', 'persistent'"),
    "ingest.spool.size=2GB": ("/ingest/spool/size", "pattern"),
    "ingest.service.port=0": ("/ingest/service/port", "minimum"),
    "migration.extraVolume=x": ("/migration", "extraVolume"),
    "extraObjects=x": ("/extraObjects", "got string, want array"),
    "watchNamespaces=loja": ("/watchNamespaces", "got string, want array"),
    "api.pdb.maxUnavailable=50%": ("/api/pdb/maxUnavailable", "got string, want integer"),
    "postgres.url=postgresql://x": ("/postgres", "url"),
    "evaluation.nats.image.tag=": ("/evaluation/nats/image/tag", "minLength"),
    "image.repository=": ("/image/repository", "minLength"),
    "probes.readiness.periodSeconds=0": ("/probes/readiness/periodSeconds", "minimum"),
    "preparation.deadlineSeconds=1": ("/preparation/deadlineSeconds", "minimum"),
}
BY_SENSE = {
    "image.repository=sinal": 'nodes would look for "sinal" in the public registry',
    "config.publicUrl=": "set config.publicUrl (https://in.example.com)",
    "monitoring.rules.enabled=true": "set monitoring.runbookUrl",
    "monitoring.dashboards.enabled=true": "set monitoring.runbookUrl",
    "nats.existingSecret=,nats.url=nats://sinal:secret@nats:4222": "put it there and set "
    "nats.existingSecret",
    "redis.url=redis://:secret@redis:6379/0": "put it there and set redis.existingSecret",
    "nats.ca.existingSecret=a,nats.ca.configMap=b": "nats.ca: existingSecret and configMap are "
    "both set",
    "redis.url=redis://cache:6379/0,redis.ca.configMap=ca": "redis.url doesn't begin with "
    "rediss://",
    "nats.existingSecret=": "set nats.existingSecret",
    "postgres.existingSecret=": "set postgres.existingSecret",
    "nats.url=nats://other:4222": "nats.existingSecret and nats.url are both set",
    "nats.existingSecret=,nats.url=nats://n:4222,nats.users.enabled=true": "Set nats.existingSecret to a "
    "Secret",
    "evaluation.enabled=true": "evaluation.enabled=true brings NATS, PostgreSQL and Redis of its "
    "own",
    "redis.url=redis://a,redis.existingSecret=b": "redis.existingSecret and redis.url are both set",
    "config.publicUrl=,operator.routes.mode=ingress": "set config.publicUrl",
    "operator.routes.mode=gateway": "set operator.routes.gateway",
    "operator.routes.certIssuer=a,operator.routes.certClusterIssuer=b": "certIssuer and "
    "certClusterIssuer are both set",
    "autoscaling.match.minReplicas=20": "autoscaling.match: minReplicas 20 is more than "
    "maxReplicas 10",
    "ingest.drainSeconds=60": "terminationGracePeriodSeconds 45 ends a pod in the middle of its "
    "work",
    "ingest.terminationGracePeriodSeconds=14": "drainSeconds 5 and 10 more",
    "api.drainSeconds=50": "api: terminationGracePeriodSeconds 45 ends a pod in the middle of its "
    "work",
    "metricsAdapter.terminationGracePeriodSeconds=14": "metricsAdapter: "
    "terminationGracePeriodSeconds 14 ends a pod",
    "watchNamespaces={loja},autoscaling.mode=external-metrics": "registers an API of the cluster",
    "watchNamespaces={loja},priorityClasses.create=true": "priorityClasses.create=false",
}


@pytest.mark.parametrize(("values", "words"), BY_SCHEMA.items(), ids=BY_SCHEMA)
def test_the_schema_names_the_value(values: str, words: tuple[str, ...]) -> None:
    done = template(*BASE, "--set", values)
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize(("values", "words"), BY_SENSE.items(), ids=BY_SENSE)
def test_values_that_contradict_each_other_say_so(values: str, words: str) -> None:
    done = template(*BASE, "--set", values)
    assert done.returncode != 0
    assert words.lower() in done.stderr.lower(), done.stderr


def test_the_bare_chart_asks_for_all_that_it_needs_at_once() -> None:
    done = template()
    assert done.returncode != 0
    for words in (
        "set image.repository",
        "set nats.existingSecret",
        "set postgres.existingsecret",
        "set config.publicurl",
    ):
        assert words.lower() in done.stderr.lower(), done.stderr
    assert "evaluation.enabled=true to try Sinal" in done.stderr


def test_an_image_that_the_nodes_hold_needs_no_registry() -> None:
    done = template(*BASE, "--set", "image.repository=sinal,image.pullPolicy=Never")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("values", ["image.repository=sinal", "monitoring.rules.enabled=true"])
def test_a_release_that_runs_keeps_what_an_installation_is_asked_for(values: str) -> None:
    done = template(*BASE, "--set", values, "--is-upgrade")
    assert done.returncode == 0, done.stderr
