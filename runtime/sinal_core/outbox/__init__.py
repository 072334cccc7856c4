"""Sending to the outside from an outbox: claim, pace, send, settle.

A product brings a `Destination` (what to send, and how), a `Ledger` (`postgres.PostgresLedger`
serves any product) and a lane; `worker.OutboxWorker` does the rest.
"""
