"""The chart's values: names, types, defaults and what they mean.

`make chart` writes all that repeats them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from charts.generator.parts import Image, Object, Values, Workload, resources
from charts.generator.scaling import Autoscaling
from charts.generator.services import Evaluation, Nats, Postgres, Redis


class ErrorReports(Values):
    """The receiver of faults."""

    existing_secret: str = Field(
        "", description="Secret that holds the address (DSN) of the project; empty: nobody is told."
    )
    secret_key: str = Field("dsn", description="Key of the address in that Secret.")


class Config(Values):
    """What all roles are told; more through `extraEnv` of each role."""

    public_url: str = Field(
        "",
        pattern=r"^(https?://[^ ]+)?$",
        description="Where gateways reach ingest from outside; webhook URLs in statuses are made "
        "of it. Empty only "
        "with `evaluation.enabled`: the Service's address inside the cluster.",
    )
    graph_url: str = Field("https://graph.facebook.com", description="Base of Meta's Graph API.")
    trusted_proxies: int | None = Field(
        None,
        ge=0,
        le=10,
        description="Proxies before ingest that append to X-Forwarded-For, a load balancer before "
        "an Ingress included; "
        "ingest must not be reachable round them. Unset: 1 where `operator.routes` makes routes, "
        "which put one before "
        "it, else 0, which believes nobody.",
    )
    country_header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]{0,64}$",
        description="Header in which your proxies tell a visitor's country, such as CF-IPCountry, "
        "for funnels that "
        "require consent in some countries; they must overwrite what a visitor sends. Empty: none "
        "does.",
    )
    reserved_hosts: list[str] = Field(
        [],
        description="Hosts of yours that no Tenant may declare beside that of `publicUrl`, such as "
        "the API's.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least weight of a log line."
    )
    metrics_tenants: int = Field(
        200, ge=0, le=10_000, description="Tenants with series of their own in metrics."
    )
    otlp_endpoint: str = Field(
        "", description="OpenTelemetry collector, OTLP over HTTP; empty: no traces."
    )
    trace_ratio: float = Field(1.0, ge=0, le=1, description="Share of requests that start a trace.")
    error_reports: ErrorReports = Field(
        default_factory=ErrorReports,
        description="Who is told of faults of every role: Sentry, or what speaks its protocol.",
    )
    event_version: Literal[1, 2] = Field(
        1,
        description="Version in which sales are written. 2 is shorter and read by this release and "
        "later ones: set it when no pod of 0.2 is left and you will not go back to it.",
    )


class Keyring(Values):
    """The keys that seal plans."""

    existing_secret: str = Field(
        "", description="Secret that holds the keyring; empty: one is made once and kept."
    )
    secret_key: str = Field("keyring.json", description="Key of the keyring in that Secret.")
    split: bool | None = Field(
        None,
        description="Give each role the part it needs, from the Secrets `<secret>-runtime` and "
        "`<secret>-edge`, which "
        "`prepare` makes: ingest can neither open access tokens nor compute webhook URLs then. "
        "Default: true for a "
        "keyring that is made here.",
    )


class Admin(Values):
    """The key of the operations API with every right."""

    existing_secret: str = Field(
        "", description="Secret that holds the key; empty: one is made once and kept."
    )
    secret_key: str = Field("admin-key", description="Name of the key in that Secret.")


class Hook(Values):
    """A Job of this chart."""

    enabled: bool = Field(True, description="Run it.")
    resources: Object = Field(
        default_factory=lambda: resources("50m", "128Mi", "256Mi"),
        description="Requests and limits.",
    )
    extra_env: list[Object] = Field(
        default_factory=list, description="More variables of the container."
    )
    extra_volumes: list[Object] = Field(
        default_factory=list,
        description="More volumes of the pod: what a role needs to reach PostgreSQL, it needs too.",
    )
    extra_volume_mounts: list[Object] = Field(
        default_factory=list, description="Where the container has them."
    )
    pod_annotations: dict[str, str] = Field(
        default_factory=dict,
        description="Annotations of the pod, such as those that keep a service mesh's proxy out.",
    )
    pod_labels: dict[str, str] = Field(default_factory=dict, description="Labels of the pod.")
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="Node labels the pod needs."
    )
    tolerations: list[Object] = Field(default_factory=list, description="Taints the pod stands.")
    priority_class_name: str = Field(
        "",
        description="An existing PriorityClass: on a full node pods of a lower one give the Job "
        "their room.",
    )


class Preparation(Hook):
    """The hook before everything else."""

    deadline_seconds: int = Field(
        120,
        ge=10,
        le=3600,
        description="How long it may take, the pull of its image included; then `helm install` "
        "fails and names it.",
    )


class Probe(Values):
    """How a pod is asked."""

    period_seconds: int = Field(ge=1, le=600, description="Time between two looks.")
    timeout_seconds: int = Field(ge=1, le=60, description="How long an answer may take.")
    failure_threshold: int = Field(
        ge=1, le=1000, description="Looks in a row without one, before it counts."
    )


class Probes(Values):
    """Probes of every role."""

    startup: Probe = Field(
        default_factory=lambda: Probe(period_seconds=2, timeout_seconds=2, failure_threshold=150),
        description="`/healthz`: it has five minutes to begin; then it is restarted.",
    )
    liveness: Probe = Field(
        default_factory=lambda: Probe(period_seconds=10, timeout_seconds=5, failure_threshold=6),
        description="`/healthz`: its event loop turns; faults of others restart nobody.",
    )
    readiness: Probe = Field(
        default_factory=lambda: Probe(period_seconds=5, timeout_seconds=4, failure_threshold=2),
        description="`/readyz`: what it needs answers.",
    )


class Migration(Hook):
    """The Job that brings the database to this release."""

    wait_seconds: int = Field(
        300, ge=0, le=3600, description="How long it waits for PostgreSQL to answer."
    )
    logins: bool = Field(
        False,
        description="Let it set the passwords of the logins in the worker's and the API's URLs, "
        "where the owner may "
        "(evaluation: always).",
    )


class Backup(Hook):
    """The CronJob that backs PostgreSQL and NATS up (docs/operators/backup.md)."""

    enabled: bool = Field(False, description="Run it.")
    schedule: str = Field("15 3 * * *", min_length=1, description="When, as of cron.")
    keep: int = Field(7, ge=1, le=1000, description="Newest files that are kept.")
    check: bool = Field(
        True,
        description="Try each by restoring it; the owner of the database must be allowed to create "
        "one.",
    )
    deadline_seconds: int = Field(14_400, ge=60, description="After so long it is given up.")
    volume: Object = Field(
        default_factory=dict,
        description="Source of the volume, such as nfs or persistentVolumeClaim; empty: a claim is "
        "made, and kept.",
    )
    size: str = Field("20Gi", pattern=r"^[0-9.]+[KMGTP]i?$", description="Size of that claim.")
    storage_class: str = Field(
        "", description="StorageClass of that claim; empty: the cluster's default."
    )


class Routes(Values):
    """What the operator makes for tenants' hosts and paths (docs/operators/operator.md)."""

    mode: Literal["none", "ingress", "gateway"] = Field(
        "none",
        description="ingress: an Ingress for each host and path. gateway: an HTTPRoute. none: you "
        "make them.",
    )
    ingress_class: str = Field("", description="IngressClass; empty: the cluster's default.")
    gateway: str = Field(
        "",
        pattern=r"^([^/ ]+/[^/ ]+(/[^/ ]+)?)?$",
        description="Gateway of HTTPRoutes: namespace/name or namespace/name/section.",
    )
    annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of every route."
    )
    cert_issuer: str = Field(
        "", description="cert-manager's Issuer, in this namespace, for hosts of Ingresses."
    )
    cert_cluster_issuer: str = Field(
        "", description="The same with a ClusterIssuer; one of the two."
    )


class Operator(Workload):
    """The operator."""

    replicas: int = Field(
        2, ge=0, le=10, description="Pods; one works, by a Lease, the others stand by."
    )
    deletion_patience_seconds: int = Field(
        120,
        ge=0,
        description="How long a deleted Tenant waits for NATS to be cleaned before it goes anyway.",
    )
    routes: Routes = Field(
        default_factory=Routes, description="What it makes for tenants' hosts and paths."
    )


class Spool(Values):
    """Where ingest keeps events while NATS is away."""

    mode: Literal["none", "emptyDir", "persistent"] = Field(
        "emptyDir",
        description="emptyDir: survives restarts of the container, goes with the pod (Deployment). "
        "persistent: "
        "survives the pod too (StatefulSet with a claim a pod). none: 503 while NATS is away.",
    )
    size: str = Field("2Gi", pattern=r"^[0-9]+(Mi|Gi|Ti)$", description="Size of the volume.")
    max_bytes: int = Field(1 << 30, ge=1 << 16, description="Bytes of it that the spool may take.")
    free_bytes: int = Field(256 << 20, ge=0, description="Bytes of it that the spool leaves free.")
    storage_class_name: str = Field(
        "", description="StorageClass of a persistent one; empty: the cluster's default."
    )


class Service(Values):
    """A Service."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field(
        "ClusterIP", description="Type of the Service."
    )
    port: int = Field(80, ge=1, le=65_535, description="Port of the Service.")
    annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of the Service."
    )


class Ingest(Workload):
    """The HTTP edge."""

    replicas: int = Field(
        2,
        ge=0,
        le=1000,
        description="Pods; not written into the Deployment where it is scaled by load.",
    )
    drain_seconds: int = Field(
        5,
        ge=0,
        le=60,
        description="How long a pod that ends answers unready before it stops listening.",
    )
    spool: Spool = Field(default_factory=Spool, description="Where events wait while NATS is away.")
    service: Service = Field(default_factory=Service, description="Its Service.")


class MetricsAdapter(Workload):
    """The depth of queues, for autoscalers."""

    replicas: int = Field(
        2, ge=0, le=1000, description="Pods; two or more, for the API server's sake."
    )
    drain_seconds: int = Field(
        5,
        ge=0,
        le=60,
        description="How long a pod that ends answers as before, but for being unready, until "
        "nobody is led to it.",
    )


class Manifests(Values):
    """Manifests made through the operations API."""

    enabled: bool = Field(
        False,
        description="POST /api/v1/funnels applies the Funnel to its tenant's namespace. The API's "
        "pods then carry a "
        "token that may create Funnels, and patch all four kinds, because PUT /api/v1/suspensions "
        "suspends each.",
    )


class Api(Workload):
    """The operations API."""

    drain_seconds: int = Field(
        5,
        ge=0,
        le=60,
        description="How long a pod that ends answers unready before it ends its streams and stops "
        "listening.",
    )
    manifests: Manifests = Field(
        default_factory=Manifests, description="Manifests made through it."
    )
    service: Service = Field(default_factory=Service, description="Its Service.")


class Rbac(Values):
    """Rights."""

    create: bool = Field(
        True,
        description="Make Roles and bindings; false: somebody else gives the ServiceAccounts "
        "theirs.",
    )
    aggregate: bool = Field(
        True, description="Add Sinal's objects to the cluster's own view, edit and admin."
    )


class Spread(Values):
    """How pods of a role are spread."""

    enabled: bool = Field(True, description="Spread pods of a role.")
    keys: list[str] = Field(
        default_factory=lambda: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
        description="Node labels over whose values they are spread.",
    )
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = Field(
        "ScheduleAnyway", description="What the scheduler does where it can't be."
    )


class Priorities(Values):
    """PriorityClasses."""

    create: bool = Field(
        False,
        description="Make one for ingest, the operator and the adapter, and a lower one for the "
        "rest.",
    )
    edge: int = Field(100_000, ge=0, le=1_000_000_000, description="Priority of the first.")
    workers: int = Field(50_000, ge=0, le=1_000_000_000, description="Priority of the second.")


class Ports(Values):
    """Ports that pods may reach."""

    nats: list[int] = Field(default_factory=lambda: [4222], description="Ports of NATS.")
    postgres: list[int] = Field(
        default_factory=lambda: [5432, 6432], description="Ports of PostgreSQL or its pooler."
    )
    redis: list[int] = Field(default_factory=lambda: [6379], description="Ports of Redis.")
    api_server: list[int] = Field(
        default_factory=lambda: [443, 6443], description="Ports of the Kubernetes API server."
    )
    web: list[int] = Field(
        default_factory=lambda: [443],
        description="Ports of Meta's Graph API and of gateways' APIs.",
    )
    otlp: list[int] = Field(
        default_factory=lambda: [4318], description="Ports of the OpenTelemetry collector."
    )
    error_reports: list[int] = Field(
        default_factory=lambda: [443], description="Ports of the receiver of faults."
    )


class NetworkPolicy(Values):
    """NetworkPolicies: nothing but what is listed."""

    enabled: bool = Field(True, description="Deny what is not needed, in both directions.")
    ingest_from: list[Object] = Field(
        default_factory=list, description="Who reaches ingest; empty: anybody."
    )
    api_from: list[Object] = Field(
        default_factory=lambda: [{"podSelector": {}}],
        description="Who reaches the operations API; default: this namespace.",
    )
    metrics_from: list[Object] = Field(
        default_factory=lambda: [{"namespaceSelector": {}}],
        description="Who reads metrics; default: pods of the cluster.",
    )
    ports: Ports = Field(default_factory=Ports, description="Ports that pods may reach.")
    extra_egress: list[Object] = Field(
        default_factory=list, description="More that every pod may reach."
    )


class PodMonitor(Values):
    """PodMonitor of the Prometheus operator, for every pod of the release."""

    enabled: bool = Field(False, description="Make it.")
    interval: str = Field("30s", description="Time between two scrapes.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels by which Prometheus finds it."
    )


class Rules(Values):
    """PrometheusRules from the chart's files/rules."""

    enabled: bool = Field(False, description="Make them.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels by which Prometheus finds them."
    )


class Dashboards(Values):
    """ConfigMaps from the chart's files/dashboards, for Grafana's sidecar."""

    enabled: bool = Field(False, description="Make them.")
    labels: dict[str, str] = Field(
        default_factory=lambda: {"grafana_dashboard": "1"},
        description="Labels by which the sidecar finds them.",
    )
    annotations: dict[str, str] = Field(
        default_factory=lambda: {"grafana_folder": "Sinal"},
        description="Annotations, such as the folder's.",
    )


class Monitoring(Values):
    """Metrics, alerts, dashboards."""

    runbook_url: str = Field(
        "",
        pattern=r"^(https?://[^ ]+[^/ ])?$",
        description="Where alerts and dashboards lead to: a folder with the pages of "
        "docs/runbooks, without a slash "
        "at its end.",
    )
    pod_monitor: PodMonitor = Field(
        default_factory=PodMonitor, description="PodMonitor of the Prometheus operator."
    )
    rules: Rules = Field(default_factory=Rules, description="PrometheusRules.")
    dashboards: Dashboards = Field(
        default_factory=Dashboards, description="Dashboards for Grafana's sidecar."
    )


class Chart(Values):
    """Values of the chart `sinal`."""

    name_override: str = Field("", max_length=40, description="Name in place of the chart's.")
    fullname_override: str = Field(
        "", max_length=40, description="Name of all objects in place of the release's."
    )
    common_labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of all objects."
    )
    image: Image = Field(
        default_factory=lambda: Image(repository="sinal"),
        description="Image of all roles: `sinal` with its arguments. A name without a registry is "
        "taken only with "
        "`pullPolicy: Never`, where the nodes hold it (docs/operators/install.md).",
    )
    image_pull_secrets: list[str] = Field(
        default_factory=list, description="Secrets of the registry, by name."
    )
    revision_history_limit: int = Field(
        5, ge=0, description="Old versions of each Deployment that are kept."
    )
    watch_namespaces: list[str] = Field(
        default_factory=list,
        description="Namespaces the operator serves, with Roles in each and no right over the "
        "cluster; empty: all.",
    )
    config: Config = Field(default_factory=Config, description="What all roles are told.")
    nats: Nats = Field(default_factory=Nats, description="NATS with JetStream.")
    postgres: Postgres = Field(default_factory=Postgres, description="PostgreSQL.")
    redis: Redis = Field(default_factory=Redis, description="Redis, which may be missing.")
    evaluation: Evaluation = Field(
        default_factory=Evaluation,
        description="Single pods of all three, to try Sinal. No replicas, no backups: not for data "
        "one would miss.",
    )
    keyring: Keyring = Field(default_factory=Keyring, description="The keys that seal plans.")
    admin: Admin = Field(
        default_factory=Admin, description="The operations API's key with every right."
    )
    preparation: Preparation = Field(
        default_factory=Preparation,
        description="The hook that checks the cluster and makes missing Secrets, before an "
        "installation or upgrade.",
    )
    migration: Migration = Field(
        default_factory=Migration, description="The Job that brings the database to this release."
    )
    backup: Backup = Field(
        default_factory=lambda: Backup(resources=resources("100m", "192Mi", "512Mi")),
        description="The CronJob that backs PostgreSQL and NATS up.",
    )
    operator: Operator = Field(
        default_factory=lambda: Operator(resources=resources("50m", "128Mi", "512Mi")),
        description="The operator.",
    )
    ingest: Ingest = Field(
        default_factory=lambda: Ingest(resources=resources("200m", "128Mi", "512Mi")),
        description="The HTTP edge.",
    )
    match: Workload = Field(
        default_factory=lambda: Workload(replicas=2, resources=resources("200m", "192Mi", "512Mi")),
        description="Matching.",
    )
    dispatch: Workload = Field(
        default_factory=lambda: Workload(replicas=2, resources=resources("200m", "192Mi", "512Mi")),
        description="Delivery to Meta.",
    )
    api: Api = Field(
        default_factory=lambda: Api(replicas=2, resources=resources("50m", "192Mi", "512Mi")),
        description="The operations API.",
    )
    housekeeping: Workload = Field(
        default_factory=lambda: Workload(replicas=2, resources=resources("50m", "128Mi", "512Mi")),
        description="Partitions, retention, rollups; one works, by leases in the database, the "
        "other stands by.",
    )
    metrics_adapter: MetricsAdapter = Field(
        default_factory=lambda: MetricsAdapter(resources=resources("20m", "128Mi", "256Mi")),
        description="The depth of queues for autoscaling; runs in the modes keda and "
        "external-metrics.",
    )
    autoscaling: Autoscaling = Field(
        default_factory=Autoscaling, description="Who changes the number of pods, and by what."
    )
    probes: Probes = Field(default_factory=Probes, description="Probes of every role.")
    topology_spread: Spread = Field(
        default_factory=Spread, description="How pods of a role are spread."
    )
    priority_classes: Priorities = Field(default_factory=Priorities, description="PriorityClasses.")
    rbac: Rbac = Field(default_factory=Rbac, description="Rights.")
    network_policy: NetworkPolicy = Field(
        default_factory=NetworkPolicy, description="NetworkPolicies."
    )
    monitoring: Monitoring = Field(
        default_factory=Monitoring, description="Metrics, alerts, dashboards."
    )
    extra_objects: list[Object] = Field(
        default_factory=list,
        description="More manifests of the release, as they are, such as ExternalSecrets for its "
        "URLs.",
    )
