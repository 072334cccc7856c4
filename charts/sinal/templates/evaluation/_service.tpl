{{/* One evaluation service: (dict "top" . "component" NAME "values" VALUES "port" PORT "data" PATH "env" TEXT "probe" TEXT "mounts" TEXT "volumes" TEXT). */}}
{{- define "sinal.evaluation" -}}
{{- $values := .values -}}
{{- $name := printf "%s-%s" (include "sinal.fullname" .top) .component -}}
{{- $persistent := and .data $values.persistence.enabled -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "sinal.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "sinal.selector" . | nindent 4 }}
  ports:
    - {name: {{ .component }}, port: {{ .port }}, targetPort: main}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels:
    {{- include "sinal.labels" . | nindent 4 }}
spec:
  replicas: 1
  serviceName: {{ $name }}
  selector:
    matchLabels:
      {{- include "sinal.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "sinal.selector" . | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- include "sinal.pullSecrets" .top | nindent 6 }}
      terminationGracePeriodSeconds: 30
      securityContext:
        {{- include "sinal.podSecurity" $values.runAsUser | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ include "sinal.image" (dict "top" .top "image" $values.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- with $values.command }}
          command: {{ toJson . }}
          {{- end }}
          {{- with $values.args }}
          args: {{ toJson . }}
          {{- end }}
          env:
            {{- .env | nindent 12 }}
          ports:
            - {name: main, containerPort: {{ .port }}}
          readinessProbe:
            tcpSocket: {port: main}
            periodSeconds: 2
          livenessProbe:
            tcpSocket: {port: main}
            initialDelaySeconds: 60
            periodSeconds: 20
            failureThreshold: 6
          {{- with $values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            {{- include "sinal.containerSecurity" .top | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if .data }}
            - {name: data, mountPath: {{ .data }}}
            {{- end }}
            {{- with .mounts }}
            {{- . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- if and .data (not $persistent) }}
        - name: data
          emptyDir: {}
        {{- end }}
        {{- with .volumes }}
        {{- . | nindent 8 }}
        {{- end }}
  {{- if $persistent }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "sinal.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.persistence.storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ $values.persistence.size }}}}
  {{- end }}
{{- end -}}
