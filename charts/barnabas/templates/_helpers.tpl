{{- define "barnabas.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "barnabas.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "barnabas.selectorLabels" -}}
app.kubernetes.io/name: {{ include "barnabas.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "barnabas.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "barnabas.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "barnabas.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "barnabas.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "barnabas.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}

{{- /* Cluster-wide objects carry the namespace, so that releases of one name in two namespaces do not meet. */ -}}
{{- define "barnabas.clusterName" -}}
{{- printf "%s-%s" (include "barnabas.fullname" .) .Release.Namespace }}
{{- end }}

{{- /* What the operator may do in a namespace that it watches: each verb is used. */ -}}
{{- define "barnabas.rules" -}}
- apiGroups: [barnabas.dev]
  resources: [connectclusters, kafkaconnectors]
  verbs: [get, list, watch, patch]
- apiGroups: [barnabas.dev]
  resources: [connectclusters/status, kafkaconnectors/status]
  verbs: [patch]
# Owner references that block deletion need this where the cluster enforces them.
- apiGroups: [barnabas.dev]
  resources: [connectclusters/finalizers, kafkaconnectors/finalizers]
  verbs: [update]
# What it makes goes with its owner: nothing but a pod is deleted by hand.
- apiGroups: [""]
  resources: [serviceaccounts, configmaps, services]
  verbs: [get, list, watch, create, patch]
# No list and no watch: Secrets are read one by one, by the names that resources give.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# Whether a connector's service account may read the Secret that its configuration refers to.
- apiGroups: [authorization.k8s.io]
  resources: [localsubjectaccessreviews]
  verbs: [create]
{{- end }}

{{- /*
Whether this release installs a definition: "true" or nothing. One that another release or kubectl brought is left alone,
so that several releases, each for its own namespaces, can live in one cluster. Arguments: the root, the definition's name.
*/ -}}
{{- define "barnabas.ownsDefinition" -}}
{{- $root := index . 0 }}
{{- if $root.Values.crds.install }}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" (index . 1) }}
{{- $annotations := dig "metadata" "annotations" (dict) $there | default dict }}
{{- $release := get $annotations "meta.helm.sh/release-name" }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- if or (not $there) (and (eq $release $root.Release.Name) (eq $namespace $root.Release.Namespace)) }}true{{ end }}
{{- end }}
{{- end }}
