{{/* Names and labels. Nothing here is random or looked up: rendering twice gives the same bytes. */}}

{{- define "sinal.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of something of a cluster, which other releases must not have too. */}}
{{- define "sinal.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "sinal.fullname" .) -}}
{{- end -}}

{{/* Labels that never change, of (dict "top" . "component" NAME). */}}
{{- define "sinal.selector" -}}
app.kubernetes.io/name: sinal
app.kubernetes.io/instance: {{ .top.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "sinal.labels" -}}
{{ include "sinal.selector" . }}
app.kubernetes.io/version: {{ .top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .top.Release.Service }}
app.kubernetes.io/part-of: sinal
helm.sh/chart: {{ printf "%s-%s" .top.Chart.Name .top.Chart.Version | replace "+" "_" }}
{{- with .top.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A role's values: `metrics-adapter` is `metricsAdapter` there. */}}
{{- define "sinal.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .top.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "sinal.keyringSecret" -}}
{{- default (printf "%s-keyring" (include "sinal.fullname" .)) .Values.keyring.existingSecret -}}
{{- end -}}

{{/* Whether roles have parts of the keyring: said, or where the chart makes it and its parts. */}}
{{- define "sinal.keyringSplit" -}}
{{- $told := .Values.keyring.split -}}
{{- if kindIs "invalid" $told }}{{ if and .Values.preparation.enabled (not .Values.keyring.existingSecret) }}true{{ end }}{{ else if $told }}true{{ end -}}
{{- end -}}

{{/* The Secret with what a role needs of the keyring: (dict "top" . "component" NAME). */}}
{{- define "sinal.keyringOf" -}}
{{- $secret := include "sinal.keyringSecret" .top -}}
{{- if or (eq .component "operator") (not (include "sinal.keyringSplit" .top)) -}}
{{- $secret -}}
{{- else -}}
{{- printf "%s-%s" $secret (ternary "edge" "runtime" (eq .component "ingest")) -}}
{{- end -}}
{{- end -}}

{{- define "sinal.adminSecret" -}}
{{- default (printf "%s-admin" (include "sinal.fullname" .)) .Values.admin.existingSecret -}}
{{- end -}}

{{- define "sinal.apiLoginSecret" -}}
{{- printf "%s-api-login" (include "sinal.fullname" .) -}}
{{- end -}}

{{/* Passwords of the users of the evaluation NATS. */}}
{{- define "sinal.natsSecret" -}}
{{- printf "%s-nats-users" (include "sinal.fullname" .) -}}
{{- end -}}

{{- define "sinal.evaluationSecret" -}}
{{- printf "%s-evaluation" (include "sinal.fullname" .) -}}
{{- end -}}

{{- define "sinal.publicURL" -}}
{{- default (printf "http://%s-ingest.%s.svc:%d" (include "sinal.fullname" .) .Release.Namespace (int .Values.ingest.service.port)) .Values.config.publicUrl -}}
{{- end -}}

{{/* How many proxies the sender's address is believed of. */}}
{{- define "sinal.trustedProxies" -}}
{{- $told := .Values.config.trustedProxies -}}
{{- if kindIs "invalid" $told }}{{ ternary 0 1 (eq .Values.operator.routes.mode "none") }}{{ else }}{{ int $told }}{{ end -}}
{{- end -}}

{{/* Whether the queue's depth is served by us. */}}
{{- define "sinal.hasAdapter" -}}
{{- if has .Values.autoscaling.mode (list "keda" "external-metrics") -}}true{{- end -}}
{{- end -}}

{{- define "sinal.scaled" -}}
{{- if and (ne .top.Values.autoscaling.mode "none") (has .component (list "ingest" "match" "dispatch")) -}}true{{- end -}}
{{- end -}}
