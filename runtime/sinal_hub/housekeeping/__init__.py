"""What nobody else has time for: stranded deliveries, rollups, erasure, the ledger's check, heartbeats.

`chores` runs each of them on one replica at a time; the other modules are one chore each.
"""
