// Argo CD's own definitions, for the tests of gitops/examples: only their YAML is read.
module sinal/tests/cluster/assets/argo-cd

go 1.25.0

require github.com/argoproj/argo-cd/v3 v3.3.19
