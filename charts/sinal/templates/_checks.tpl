{{/* What the schema can't say: values that only make sense together. Each message names the way out. */}}
{{- define "sinal.checks" -}}
{{- $v := .Values -}}
{{- if not $v.evaluation.enabled -}}
{{- if not (or $v.nats.existingSecret $v.nats.url) -}}
{{- fail "nats: which NATS? Set nats.existingSecret (a Secret with the key `url`) or nats.url; or evaluation.enabled=true to try Sinal with single pods of its own" -}}
{{- end -}}
{{- if not $v.postgres.existingSecret -}}
{{- fail "postgres: which PostgreSQL? Set postgres.existingSecret (a Secret with the key `url`); or evaluation.enabled=true to try Sinal with single pods of its own" -}}
{{- end -}}
{{- else if or $v.nats.existingSecret $v.nats.url $v.postgres.existingSecret $v.redis.existingSecret $v.redis.url -}}
{{- fail "evaluation: evaluation.enabled=true brings NATS, PostgreSQL and Redis of its own; unset nats.*, postgres.existingSecret and redis.*, or set evaluation.enabled=false" -}}
{{- end -}}
{{- if and $v.nats.existingSecret $v.nats.url -}}
{{- fail "nats: nats.existingSecret and nats.url are both set; unset one" -}}
{{- end -}}
{{- if and $v.redis.existingSecret $v.redis.url -}}
{{- fail "redis: redis.existingSecret and redis.url are both set; unset one" -}}
{{- end -}}
{{- range $role := list "ingest" "match" "dispatch" -}}
{{- $bounds := index $v.autoscaling $role -}}
{{- if gt (int $bounds.minReplicas) (int $bounds.maxReplicas) -}}
{{- fail (printf "autoscaling.%s: minReplicas %d is more than maxReplicas %d" $role (int $bounds.minReplicas) (int $bounds.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- /* Beside the drain: 3 s of each server for requests under way, the spool's last sync, and as long again. */}}
{{- range $role := list "ingest" "api" "metricsAdapter" -}}
{{- $values := index $v $role -}}
{{- if lt (int $values.terminationGracePeriodSeconds) (add (int $values.drainSeconds) 10 | int) -}}
{{- fail (printf "%s: terminationGracePeriodSeconds %d ends a pod in the middle of its work: drainSeconds %d and 10 more for requests under way; raise the first or lower the second" $role (int $values.terminationGracePeriodSeconds) (int $values.drainSeconds)) -}}
{{- end -}}
{{- end -}}
{{- if and $v.watchNamespaces (eq $v.autoscaling.mode "external-metrics") -}}
{{- fail "watchNamespaces: a namespaced installation has no right over the cluster, and autoscaling.mode=external-metrics registers an API of the cluster; use keda, cpu or none" -}}
{{- end -}}
{{- $routes := $v.operator.routes -}}
{{- if and (ne $routes.mode "none") (not $v.config.publicUrl) -}}
{{- fail "operator.routes: which host do all tenants share? Set config.publicUrl to the address that routes are to serve, or operator.routes.mode=none" -}}
{{- end -}}
{{- if and (eq $routes.mode "gateway") (not $routes.gateway) -}}
{{- fail "operator.routes: which Gateway? Set operator.routes.gateway to namespace/name or namespace/name/section, or operator.routes.mode to ingress or none" -}}
{{- end -}}
{{- if and $routes.certIssuer $routes.certClusterIssuer -}}
{{- fail "operator.routes: certIssuer and certClusterIssuer are both set; unset one" -}}
{{- end -}}
{{- if and $v.watchNamespaces $v.priorityClasses.create -}}
{{- fail "watchNamespaces: a namespaced installation has no right over the cluster; set priorityClasses.create=false and name existing classes by priorityClassName" -}}
{{- end -}}
{{- end -}}
