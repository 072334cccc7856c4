{{/* Pod of a Job: (dict "top" . "component" NAME "account" NAME "token" BOOL "resources" OBJECT "args" LIST "env" TEXT). */}}
{{- define "sinal.jobPod" -}}
metadata:
  labels:
    {{- include "sinal.selector" . | nindent 4 }}
spec:
  restartPolicy: OnFailure
  {{- if .account }}
  serviceAccountName: {{ .account }}
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
      {{- with .env }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      {{- with .resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "sinal.containerSecurity" .top | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
{{- end -}}
