"""Queue depths for Kubernetes' autoscaler: `external.metrics.k8s.io` as an extension of the API
server.

The only room that knows Kubernetes, and it does so in `cluster` alone; the rest asks the ports of
`ports`.
"""
