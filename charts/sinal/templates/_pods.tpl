{{/* What pods of all roles have in common. */}}

{{- define "sinal.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "sinal.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Startup: has five minutes, for a role that waits for its database or broker. Liveness: the event loop turns; it says
nothing of others, so that their faults restart nobody. Readiness: what the role needs answers. The port called metrics
is of probes and scrapers alone; the one called http, which ingest and API have beside it, is what Services publish. */}}
{{- define "sinal.probes" }}
{{- range $name, $path := dict "startup" "/healthz" "liveness" "/healthz" "readiness" "/readyz" }}
{{- $probe := index $.Values.probes $name }}
{{ $name }}Probe:
  httpGet: {path: {{ $path }}, port: metrics}
  periodSeconds: {{ $probe.periodSeconds }}
  failureThreshold: {{ $probe.failureThreshold }}
  timeoutSeconds: {{ $probe.timeoutSeconds }}
{{- end }}
{{- end -}}

{{- define "sinal.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Pod template of a role: (dict "top" . "component" NAME "values" VALUES "env" TEXT "token" BOOL "volumes" TEXT "mounts" TEXT "ports" TEXT). */}}
{{- define "sinal.pod" -}}
{{- $top := .top -}}
{{- $values := .values -}}
metadata:
  labels:
    {{- include "sinal.selector" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "sinal.fullname" $top }}-{{ .component }}
  automountServiceAccountToken: {{ .token }}
  enableServiceLinks: false
  {{- include "sinal.pullSecrets" $top | nindent 2 }}
  {{- $class := ternary "edge" "workers" (has .component (list "ingest" "operator" "metrics-adapter")) }}
  {{- if $values.priorityClassName }}
  priorityClassName: {{ $values.priorityClassName }}
  {{- else if $top.Values.priorityClasses.create }}
  priorityClassName: {{ printf "%s-%s-%s" $top.Release.Namespace (include "sinal.fullname" $top) $class }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "sinal.podSecurity" 65532 | nindent 4 }}
  containers:
    - name: {{ .component }}
      image: {{ include "sinal.image" (dict "top" $top "image" $top.Values.image) }}
      imagePullPolicy: {{ $top.Values.image.pullPolicy }}
      args: [run, {{ .component }}]
      env:
        {{- .env | nindent 8 }}
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        {{- if has .component (list "ingest" "api") }}
        - {name: http, containerPort: 8080}
        - {name: metrics, containerPort: 8081}
        {{- else }}
        - {name: metrics, containerPort: 8080}
        {{- end }}
        {{- with .ports }}
        {{- . | nindent 8 }}
        {{- end }}
      {{- include "sinal.probes" $top | trim | nindent 6 }}
      {{- with $values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "sinal.containerSecurity" $top | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if .keyring }}
        - {name: keyring, mountPath: /etc/sinal/keyring, readOnly: true}
        {{- end }}
        {{- if include "sinal.authorities" $top }}
        {{- include "sinal.authorityMount" $top | nindent 8 }}
        {{- end }}
        {{- with .mounts }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    {{- if .keyring }}
    - name: keyring
      secret:
        secretName: {{ include "sinal.keyringOf" . }}
        defaultMode: 0440
        items: [{key: {{ $top.Values.keyring.secretKey | quote }}, path: keyring.json}]
    {{- end }}
    {{- if include "sinal.authorities" $top }}
    {{- include "sinal.authorityVolume" $top | nindent 4 }}
    {{- end }}
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $spread := $top.Values.topologySpread }}
  {{- if $spread.enabled }}
  topologySpreadConstraints:
    {{- range $spread.keys }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $spread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "sinal.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end -}}

{{/* A Deployment: (dict "top" . "component" NAME "values" VALUES …) as for sinal.pod. */}}
{{- define "sinal.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "sinal.fullname" .top }}-{{ .component }}
  labels:
    {{- include "sinal.labels" . | nindent 4 }}
  {{- with .values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if not (include "sinal.scaled" .) }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ .top.Values.revisionHistoryLimit }}
  strategy:
    type: RollingUpdate
    {{- if and .top.Values.evaluation.enabled (eq .component "housekeeping") }}
    # It migrates: it takes the place of the one before, so that no other pod's successor can leave it without room.
    rollingUpdate: {maxUnavailable: 1, maxSurge: 0}
    {{- else }}
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    {{- end }}
  selector:
    matchLabels:
      {{- include "sinal.selector" . | nindent 6 }}
  template:
    {{- include "sinal.pod" . | nindent 4 }}
{{- end -}}
