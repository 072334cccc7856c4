{{/* Pod of a Job: (dict "top" . "component" NAME "account" NAME "token" BOOL "values" VALUES "args" LIST "env" TEXT "volumes" LIST "mounts" LIST). */}}
{{- define "sinal.jobPod" -}}
metadata:
  labels:
    {{- include "sinal.selector" . | nindent 4 }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: OnFailure
  {{- if .account }}
  serviceAccountName: {{ .account }}
  {{- end }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  automountServiceAccountToken: {{ .token }}
  enableServiceLinks: false
  {{- include "sinal.pullSecrets" .top | nindent 2 }}
  securityContext:
    {{- include "sinal.podSecurity" 65532 | nindent 4 }}
  containers:
    - name: {{ .component }}
      image: {{ include "sinal.image" (dict "top" .top "image" .top.Values.image) }}
      imagePullPolicy: {{ .top.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      {{- if or .env .values.extraEnv }}
      env:
        {{- with .env }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with .values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with .values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "sinal.containerSecurity" .top | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if and .env (include "sinal.authorities" .top) }}
        {{- include "sinal.authorityMount" .top | nindent 8 }}
        {{- end }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with .values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if and .env (include "sinal.authorities" .top) }}
    {{- include "sinal.authorityVolume" .top | nindent 4 }}
    {{- end }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
