"""What nobody else has time for: stranded deliveries, rollups, erasure, the ledger's check,
heartbeats.

`service` runs each of them on one replica at a time; `runs` says what is shown of that.
"""
