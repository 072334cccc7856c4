"""The library that every product stands on: it knows no product and no rule of a tenant.

Rooms, from the bottom: `aio` (concurrency), `telemetry`, `http`, `nats`, `postgres`, `kube`,
`limiter`, `plans`. Nothing here imports a product (`.importlinter`).
"""
