// The definitions of the Gateway API, for the tests of routes: only its YAML is read.
module sinal/tests/cluster/assets/gateway-api

go 1.25.0

require sigs.k8s.io/gateway-api v1.5.1
