{{/* The name of all that the release makes: the release's, with the chart's where it lacks that. */}}
{{- define "bec-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The service account that the operator runs as. */}}
{{- define "bec-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "bec-operator.name" .) }}
{{- else -}}
{{ required "serviceAccount.name: with serviceAccount.create false, name the service account to use" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* What tells this release's pods from all others. */}}
{{- define "bec-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bec-operator.labels" -}}
{{ include "bec-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The connections, as the operator's settings have them: without their Secrets. */}}
{{- define "bec-operator.connections" -}}
{{- $all := list -}}
{{- range .Values.connections -}}
{{- if and (eq .kind "sql") (not .secret) -}}
{{- fail (printf "connections: %s: name the Secret that has the url of the database" .name) -}}
{{- end -}}
{{- $all = append $all (dict "name" .name "kind" .kind "namespaces" .namespaces) -}}
{{- end -}}
{{ toJson $all }}
{{- end }}

{{/* Where results go by default, as the operator's settings have it; nothing if they go nowhere. */}}
{{- define "bec-operator.results" -}}
{{- $all := dict -}}
{{- range $to, $how := .Values.results -}}
{{- if $how -}}{{- $_ := set $all $to $how -}}{{- end -}}
{{- end -}}
{{- if $all -}}{{ toJson $all }}{{- end -}}
{{- end }}

{{/* The operator's rights, cluster-wide or in each watched namespace: what it does, and no more. */}}
{{- define "bec-operator.rules" -}}
- apiGroups: [bec.bdrc.io]
  resources: [jobs]
  verbs: [get, list, watch]
- apiGroups: [bec.bdrc.io]
  resources: [volumetasks]
  verbs: [get, list, watch, create, patch, delete, deletecollection]
- apiGroups: [bec.bdrc.io]
  resources: [jobs/status, volumetasks/status]
  verbs: [get, patch, update]
# Where owner references are checked, whoever sets blockOwnerDeletion needs this.
- apiGroups: [bec.bdrc.io]
  resources: [jobs/finalizers, volumetasks/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete, deletecollection]
# Pools of warm workers.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# What workers tell is a condition of their pods; the log of one that died is kept for it.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# Volume lists to read, and the ledger of each Job.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, update]
- apiGroups: [""]
  resources: [events]
  verbs: [get, list, create, patch]
{{- end }}

{{/* Whether workers may come in from elsewhere, by any way; empty if not. */}}
{{- define "bec-operator.comeIn" -}}
{{- if or .Values.outside.enabled .Values.outside.faces -}}yes{{- end -}}
{{- end }}

{{/* The Secret that has the certificate for them. */}}
{{- define "bec-operator.tlsSecret" -}}
{{- if .Values.outside.certificate.issuerRef -}}
{{ .Values.outside.tlsSecret | default (printf "%s-outside" (include "bec-operator.name" .)) }}
{{- else -}}
{{ required "outside.tlsSecret: name the Secret of type kubernetes.io/tls with the certificate, or give outside.certificate" .Values.outside.tlsSecret }}
{{- end -}}
{{- end }}
