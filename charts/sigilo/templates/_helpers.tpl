{{- /* Names, labels and the parts that all pods have. */ -}}

{{- define "sigilo.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* labels (list $ COMPONENT) */ -}}
{{- define "sigilo.labels" -}}
{{- $root := index . 0 -}}
{{ include "sigilo.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "sigilo.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: sigilo
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- /* image (list $ SERVICE) */ -}}
{{- define "sigilo.image" -}}
{{- $root := index . 0 -}}
{{- $tag := $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- if eq $tag "latest" }}{{ fail "image.tag: latest is no version" }}{{ end -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end }}sigilo-{{ index . 1 }}:{{ $tag }}
{{- end -}}

{{- /* authorities: names of the time authorities, in the policy's order, with commas between */ -}}
{{- define "sigilo.authorities" -}}
{{- $names := list -}}
{{- range $i := until (int .Values.tsa.authorities) }}{{ $names = append $names (printf "tsa%d" (add1 $i)) }}{{ end -}}
{{- join "," $names -}}
{{- end -}}

{{- /* secret (list $ PART): the Secret of a part */ -}}
{{- define "sigilo.secret" -}}
{{- $root := index . 0 -}}{{- $part := index . 1 -}}
{{- $own := merge (dict "redis" $root.Values.redis.existingSecret) $root.Values.keys.existingSecrets $root.Values.tsa.existingSecrets -}}
{{- get $own $part | default (printf "%s-%s" (include "sigilo.fullname" $root) $part) -}}
{{- end -}}

{{- /* podspec: what every pod has */ -}}
{{- define "sigilo.podspec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sigilo.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- /* service: arguments, ports and probes of the three services */ -}}
{{- define "sigilo.ports" -}}
ports:
  - {name: http, containerPort: 8080}
  - {name: internal, containerPort: 9090}
startupProbe:
  httpGet: {path: /healthz, port: internal}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: internal}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: internal}
  periodSeconds: 3
  timeoutSeconds: 3
{{- end -}}

{{- define "sigilo.listen" -}}
- --listen=0.0.0.0:8080
- --internal=0.0.0.0:9090
- --drain-delay=5s
{{- end -}}

{{- /* ping: asks Redis; -e makes a refusal, as while it loads, a failure */ -}}
{{- define "sigilo.ping" -}}
redis-cli, -e, --no-auth-warning, --user, probe, --pass, probe, ping
{{- end -}}

{{- /* redisports: those of the Redis outside, as a list: of the URL's hosts, and redis.ports */ -}}
{{- define "sigilo.redisports" -}}
{{- $hosts := regexReplaceAll "^[a-z+]+://([^/]*@)?" .Values.redis.url "" | regexFind "^[^/?]*" -}}
{{- $ports := list -}}
{{- range $host := splitList "," $hosts }}{{ $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" $host) | default "6379" | int) }}{{ end -}}
{{- range .Values.redis.ports }}{{ $ports = append $ports (int .) }}{{ end -}}
{{- $peers := list }}{{ range uniq $ports }}{{ $peers = append $peers (dict "port" .) }}{{ end -}}
{{- toJson $peers -}}
{{- end -}}

{{- /* keysjob: spec of the Jobs that make and renew keys; (list $ ACCOUNT) */ -}}
{{- define "sigilo.keysjob" -}}
{{- $ := index . 0 -}}
backoffLimit: 4
template:
  metadata:
    labels: {{ include "sigilo.labels" (list $ "keys") | nindent 6 }}
  spec: {{ include "sigilo.podspec" $ | replace "automountServiceAccountToken: false" "automountServiceAccountToken: true" | nindent 4 }}
    restartPolicy: Never
    serviceAccountName: {{ index . 1 }}
    containers:
      - name: keys
        image: {{ include "sigilo.image" (list $ "ca") }}
        {{- include "sigilo.container" $ | nindent 8 }}
        args:
          - bootstrap
          - --kubernetes
          - --house={{ $.Values.house }}
          - --name={{ include "sigilo.fullname" $ }}
          - --authorities={{ include "sigilo.authorities" $ }}
          {{- range $part := splitList "," (include "sigilo.parts" $) }}
          - --secrets={{ $part }}={{ include "sigilo.secret" (list $ $part) }}
          {{- end }}
          {{- if not $.Values.redis.url }}
          - --redis
          {{- end }}
        resources:
          requests: {cpu: 50m, memory: 32Mi}
          limits: {memory: 128Mi}
{{- end -}}

{{- /* parts: those that have a Secret */ -}}
{{- define "sigilo.parts" -}}
root,ca,dms,operator,{{ include "sigilo.authorities" . }}{{ if not .Values.redis.url }},redis{{ end }}
{{- end -}}

{{- define "sigilo.selectorinline" -}}
{{ include "sigilo.selector" . | fromYaml | toJson }}
{{- end -}}
