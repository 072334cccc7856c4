{{/* Variables of roles. Each role is given what it needs and no more. */}}

{{- define "sinal.env.common" -}}
- {name: SINAL_HOST, value: "0.0.0.0"}
- {name: SINAL_PORT, value: "8080"}
- {name: SINAL_LOG_LEVEL, value: {{ .Values.config.logLevel | quote }}}
{{- include "sinal.env.errorReports" . }}
{{- end -}}

{{/* Where faults are reported: its own lines, each begun by a line's end, or nothing. */}}
{{- define "sinal.env.errorReports" -}}
{{- with .Values.config.errorReports }}
{{- if .existingSecret }}
{{ include "sinal.env.secret" (dict "name" "SINAL_ERROR_REPORTS_DSN" "secret" .existingSecret "key" .secretKey) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of roles with a listener for the world: probes and scrapers have another port. */}}
{{- define "sinal.env.probes" -}}
- {name: SINAL_METRICS_PORT, value: "8081"}
{{- end -}}

{{- define "sinal.env.runtime" -}}
- {name: SINAL_METRICS_TENANTS, value: {{ .Values.config.metricsTenants | quote }}}
{{- end -}}

{{- define "sinal.env.traces" -}}
{{- with .Values.config.otlpEndpoint }}
- {name: SINAL_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: SINAL_TRACE_RATIO, value: {{ $.Values.config.traceRatio | quote }}}
{{- end }}
{{- end -}}

{{- define "sinal.env.keyring" -}}
- {name: SINAL_KEYRING_FILE, value: /etc/sinal/keyring/keyring.json}
{{- end -}}

{{- define "sinal.env.secret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret | quote }}, key: {{ .key | quote }}}}
{{- end -}}

{{/* Services whose certificates must be of an authority of one's own. */}}
{{- define "sinal.authorities" -}}
{{- range $name := list "nats" "postgres" "redis" -}}
{{- $ca := (index $.Values $name).ca -}}
{{- if or $ca.existingSecret $ca.configMap }}{{ $name }} {{ end -}}
{{- end -}}
{{- end -}}

{{/* Their certificates as one volume; a Secret's other keys, a private one above all, stay out of it. */}}
{{- define "sinal.authorityVolume" -}}
- name: authorities
  projected:
    sources:
      {{- range $name := compact (splitList " " (include "sinal.authorities" .)) }}
      {{- $ca := (index $.Values $name).ca }}
      {{- if $ca.existingSecret }}
      - secret: {name: {{ $ca.existingSecret | quote }}, items: [{key: {{ $ca.key | quote }}, path: {{ $name }}.crt}]}
      {{- else }}
      - configMap: {name: {{ $ca.configMap | quote }}, items: [{key: {{ $ca.key | quote }}, path: {{ $name }}.crt}]}
      {{- end }}
      {{- end }}
{{- end -}}

{{- define "sinal.authorityMount" -}}
- {name: authorities, mountPath: /etc/sinal/authorities, readOnly: true}
{{- end -}}

{{/* A role's way to NATS: (dict "top" . "component" NAME). A backup reads every stream, as the operator may. */}}
{{- define "sinal.env.nats" -}}
{{- $user := ternary "operator" .component (eq .component "backup") -}}
{{- $secret := include "sinal.evaluationSecret" .top -}}
{{- with .top }}
{{- $host := printf "%s-nats:4222" (include "sinal.fullname" .) }}
{{- if and .Values.evaluation.enabled .Values.nats.users.enabled }}
{{- include "sinal.env.secret" (dict "name" "NATS_PASSWORD" "secret" (include "sinal.natsSecret" .) "key" $user) }}
- {name: SINAL_NATS_URL, value: "nats://sinal-{{ $user }}:$(NATS_PASSWORD)@{{ $host }}"}
{{- else if .Values.evaluation.enabled }}
{{- include "sinal.env.secret" (dict "name" "NATS_PASSWORD" "secret" $secret "key" "nats-password") }}
- {name: SINAL_NATS_URL, value: "nats://sinal:$(NATS_PASSWORD)@{{ $host }}"}
{{- else if .Values.nats.existingSecret }}
{{- include "sinal.env.secret" (dict "name" "SINAL_NATS_URL" "secret" .Values.nats.existingSecret "key" (ternary $user .Values.nats.secretKey .Values.nats.users.enabled)) }}
{{- else }}
- {name: SINAL_NATS_URL, value: {{ .Values.nats.url | quote }}}
{{- end }}
{{- if contains "nats " (include "sinal.authorities" .) }}
- {name: SINAL_NATS_CA_FILE, value: /etc/sinal/authorities/nats.crt}
{{- end }}
{{- end }}
{{- end -}}

{{- define "sinal.env.redis" -}}
{{- if .Values.evaluation.enabled }}
{{ include "sinal.env.secret" (dict "name" "REDIS_PASSWORD" "secret" (include "sinal.evaluationSecret" .) "key" "redis-password") }}
- {name: SINAL_REDIS_URL, value: "redis://:$(REDIS_PASSWORD)@{{ include "sinal.fullname" . }}-redis:6379/0"}
{{- else if .Values.redis.existingSecret }}
{{ include "sinal.env.secret" (dict "name" "SINAL_REDIS_URL" "secret" .Values.redis.existingSecret "key" .Values.redis.secretKey) }}
{{- else if .Values.redis.url }}
- {name: SINAL_REDIS_URL, value: {{ .Values.redis.url | quote }}}
{{- end }}
{{- if contains "redis " (include "sinal.authorities" .) }}
- {name: SINAL_REDIS_CA_FILE, value: /etc/sinal/authorities/redis.crt}
{{- end }}
{{- end -}}

{{/* The worker's URL. */}}
{{- define "sinal.env.database" -}}
{{- if .Values.evaluation.enabled }}
{{- include "sinal.env.secret" (dict "name" "WORKER_PASSWORD" "secret" (include "sinal.evaluationSecret" .) "key" "worker-password") }}
- {name: SINAL_DATABASE_URL, value: "postgresql://sinal_worker:$(WORKER_PASSWORD)@{{ include "sinal.fullname" . }}-postgres:5432/sinal"}
{{- else }}
{{- include "sinal.env.secret" (dict "name" "SINAL_DATABASE_URL" "secret" .Values.postgres.existingSecret "key" .Values.postgres.secretKeys.url) }}
{{- end }}
{{- if contains "postgres " (include "sinal.authorities" .) }}
- {name: PGSSLMODE, value: verify-full}
- {name: PGSSLROOTCERT, value: /etc/sinal/authorities/postgres.crt}
{{- end }}
{{- end -}}

{{/* Of roles that live on while the evaluation's database is made anew. */}}
{{- define "sinal.env.losable" -}}
{{- if .Values.evaluation.enabled }}
- {name: SINAL_DATABASE_MAY_BE_LOST, value: "true"}
{{- end }}
{{- end -}}

{{/* The owner's URL: migrations and housekeeping only. */}}
{{- define "sinal.env.owner" -}}
{{- if .Values.evaluation.enabled }}
{{ include "sinal.env.secret" (dict "name" "POSTGRES_PASSWORD" "secret" (include "sinal.evaluationSecret" .) "key" "postgres-password") }}
- {name: SINAL_MAINTENANCE_DATABASE_URL, value: "postgresql://sinal:$(POSTGRES_PASSWORD)@{{ include "sinal.fullname" . }}-postgres:5432/sinal"}
{{- else if .Values.postgres.secretKeys.ownerUrl }}
{{ include "sinal.env.secret" (dict "name" "SINAL_MAINTENANCE_DATABASE_URL" "secret" .Values.postgres.existingSecret "key" .Values.postgres.secretKeys.ownerUrl) }}
{{- end }}
{{- end -}}

{{/* Whether the API logs in as sinal_api with a password that the chart made: said, or where logins are made anyway. */}}
{{- define "sinal.apiLogin" -}}
{{- $told := .Values.postgres.apiLogin -}}
{{- $makes := and .Values.preparation.enabled .Values.migration.enabled (or .Values.migration.logins .Values.evaluation.enabled) -}}
{{- if kindIs "invalid" $told }}{{ if and $makes (not .Values.postgres.secretKeys.apiUrl) }}true{{ end }}{{ else if $told }}true{{ end -}}
{{- end -}}

{{/* The API's own: what it does for a tenant's key, PostgreSQL does for that login. */}}
{{- define "sinal.env.apiDatabase" -}}
{{- if include "sinal.apiLogin" . }}
{{ include "sinal.env.secret" (dict "name" "SINAL_API_DATABASE_PASSWORD" "secret" (include "sinal.apiLoginSecret" .) "key" "password") }}
{{- else if and (not .Values.evaluation.enabled) .Values.postgres.secretKeys.apiUrl }}
{{ include "sinal.env.secret" (dict "name" "SINAL_API_DATABASE_URL" "secret" .Values.postgres.existingSecret "key" .Values.postgres.secretKeys.apiUrl) }}
{{- end }}
{{- end -}}

{{/* What is the platform's own and no Tenant's: the same for who compiles plans and for who reads them. */}}
{{- define "sinal.env.hosts" -}}
- {name: SINAL_PUBLIC_URL, value: {{ include "sinal.publicURL" . | quote }}}
- {name: SINAL_ROUTES_SERVICE, value: {{ include "sinal.fullname" . }}-ingest}
{{- with .Values.config.reservedHosts }}
- {name: SINAL_RESERVED_HOSTS, value: {{ join "," . | quote }}}
{{- end }}
{{- end -}}
