{{/* What the schema can't say: values that only make sense together. Each message names the way out; all are told at once. */}}
{{- define "sinal.checks" -}}
{{- $v := .Values -}}
{{- $problems := list -}}
{{- /* What runs may go on: a release that is upgraded has its image, and leads to whatever it led to. */}}
{{- if .Release.IsInstall -}}
{{- if and (not (contains "/" $v.image.repository)) (ne $v.image.pullPolicy "Never") -}}
{{- $problems = append $problems (printf "image: nodes would look for %q in the public registry, where it isn't. Push the image that you built and set image.repository=registry.example/team/sinal; or load it into every node (kind load docker-image, ctr images import) and set image.pullPolicy=Never: docs/operators/install.md" $v.image.repository) -}}
{{- end -}}
{{- if and $v.nats.url (contains "@" $v.nats.url) -}}
{{- $problems = append $problems "nats.url: a URL with a password belongs into a Secret; put it there and set nats.existingSecret" -}}
{{- end -}}
{{- if and $v.redis.url (contains "@" $v.redis.url) -}}
{{- $problems = append $problems "redis.url: a URL with a password belongs into a Secret; put it there and set redis.existingSecret" -}}
{{- end -}}
{{- if and (or $v.monitoring.rules.enabled $v.monitoring.dashboards.enabled) (not $v.monitoring.runbookUrl) -}}
{{- $problems = append $problems "monitoring: where do alerts and dashboards lead to? Set monitoring.runbookUrl to where your people read the pages of docs/runbooks, such as their folder in your Git server" -}}
{{- end -}}
{{- end -}}
{{- if not (or $v.evaluation.enabled $v.config.publicUrl) -}}
{{- $problems = append $problems "config: at which address do payment gateways and browsers reach ingest? Set config.publicUrl (https://in.example.com): webhook URLs are made of it, and without it no gateway reaches them" -}}
{{- end -}}
{{- if not $v.evaluation.enabled -}}
{{- if not (or $v.nats.existingSecret $v.nats.url) -}}
{{- $problems = append $problems "nats: which NATS? Set nats.existingSecret (a Secret with the key `url`) or nats.url; or evaluation.enabled=true to try Sinal with single pods of its own" -}}
{{- end -}}
{{- if not $v.postgres.existingSecret -}}
{{- $problems = append $problems "postgres: which PostgreSQL? Set postgres.existingSecret (a Secret with the key `url`); or evaluation.enabled=true to try Sinal with single pods of its own" -}}
{{- end -}}
{{- else if or $v.nats.existingSecret $v.nats.url $v.postgres.existingSecret $v.redis.existingSecret $v.redis.url (include "sinal.authorities" .) -}}
{{- $problems = append $problems "evaluation: evaluation.enabled=true brings NATS, PostgreSQL and Redis of its own; unset nats.*, postgres.existingSecret and redis.*, or set evaluation.enabled=false" -}}
{{- end -}}
{{- if and $v.nats.users.enabled (not $v.evaluation.enabled) (not $v.nats.existingSecret) -}}
{{- $problems = append $problems "nats.users: where do the roles' URLs stand? Set nats.existingSecret to a Secret with a key for each role, or nats.users.enabled=false" -}}
{{- end -}}
{{- if and $v.postgres.apiLogin $v.postgres.secretKeys.apiUrl -}}
{{- $problems = append $problems "postgres: apiLogin and secretKeys.apiUrl both say what the API logs in as; unset one" -}}
{{- end -}}
{{- if and $v.nats.existingSecret $v.nats.url -}}
{{- $problems = append $problems "nats: nats.existingSecret and nats.url are both set; unset one" -}}
{{- end -}}
{{- if and $v.redis.existingSecret $v.redis.url -}}
{{- $problems = append $problems "redis: redis.existingSecret and redis.url are both set; unset one" -}}
{{- end -}}
{{- range $name := list "nats" "postgres" "redis" -}}
{{- $ca := (index $v $name).ca -}}
{{- if and $ca.existingSecret $ca.configMap -}}
{{- $problems = append $problems (printf "%s.ca: existingSecret and configMap are both set; unset one" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $v.redis.url (contains "redis " (include "sinal.authorities" .)) (not (hasPrefix "rediss://" $v.redis.url)) -}}
{{- $problems = append $problems "redis.ca: an authority is set, and redis.url doesn't begin with rediss://, so that nobody would ask it; change one of them" -}}
{{- end -}}
{{- range $role := list "ingest" "match" "dispatch" -}}
{{- $bounds := index $v.autoscaling $role -}}
{{- if gt (int $bounds.minReplicas) (int $bounds.maxReplicas) -}}
{{- $problems = append $problems (printf "autoscaling.%s: minReplicas %d is more than maxReplicas %d" $role (int $bounds.minReplicas) (int $bounds.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- /* Beside the drain: 3 s of each server for requests under way, the spool's last sync, and as long again. */}}
{{- range $role := list "ingest" "api" "metricsAdapter" -}}
{{- $values := index $v $role -}}
{{- if lt (int $values.terminationGracePeriodSeconds) (add (int $values.drainSeconds) 10 | int) -}}
{{- $problems = append $problems (printf "%s: terminationGracePeriodSeconds %d ends a pod in the middle of its work: drainSeconds %d and 10 more for requests under way; raise the first or lower the second" $role (int $values.terminationGracePeriodSeconds) (int $values.drainSeconds)) -}}
{{- end -}}
{{- end -}}
{{- if and $v.watchNamespaces (eq $v.autoscaling.mode "external-metrics") -}}
{{- $problems = append $problems "watchNamespaces: a namespaced installation has no right over the cluster, and autoscaling.mode=external-metrics registers an API of the cluster; use keda, cpu or none" -}}
{{- end -}}
{{- $routes := $v.operator.routes -}}
{{- if and (ne $routes.mode "none") (not $v.config.publicUrl) -}}
{{- $problems = append $problems "operator.routes: which host do all tenants share? Set config.publicUrl to the address that routes are to serve, or operator.routes.mode=none" -}}
{{- end -}}
{{- if and (eq $routes.mode "gateway") (not $routes.gateway) -}}
{{- $problems = append $problems "operator.routes: which Gateway? Set operator.routes.gateway to namespace/name or namespace/name/section, or operator.routes.mode to ingress or none" -}}
{{- end -}}
{{- if and $routes.certIssuer $routes.certClusterIssuer -}}
{{- $problems = append $problems "operator.routes: certIssuer and certClusterIssuer are both set; unset one" -}}
{{- end -}}
{{- if and $v.watchNamespaces $v.priorityClasses.create -}}
{{- $problems = append $problems "watchNamespaces: a namespaced installation has no right over the cluster; set priorityClasses.create=false and name existing classes by priorityClassName" -}}
{{- end -}}
{{- with $problems }}
{{- fail (printf "\n%s" (join "\n" .)) }}
{{- end -}}
{{- end -}}
