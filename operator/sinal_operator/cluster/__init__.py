"""The operator in a cluster: custom resources and Secrets in, lanes, plans and statuses out.

Kopf watches, queues and keeps the finalizer; its handlers only note what they saw in the
`object_cache`. One level-based `reconciler` compiles all of it, has `provision` bring NATS to it,
and writes statuses that differ. What statuses say is pure (`status`, `conditions`, `facts`), and a
laptop without Kopf says the same: this package itself imports nothing.
"""
