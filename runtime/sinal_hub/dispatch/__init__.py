"""CAPI payloads, batching, pacing, error classes, breaker, ledger."""
