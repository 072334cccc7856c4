"""The rules."""

from dashboards.alerts import delivery, flow, platform, slo, tenants
from dashboards.alerts.rule import Alert

GROUPS = (slo.RECORDING, slo.ALERTS, delivery.GROUP, flow.GROUP, tenants.GROUP, platform.GROUP)
ALERTS = tuple(rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert))
