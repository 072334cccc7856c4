"""Tracking: clicks and payment webhooks joined, deduplicated and delivered to the Meta Conversions
API.

Rooms, from the bottom: `model`, `identity`, `gateways`, `meta`, `store`, `spool`, `intake` and
`quarantine`; then `ingest`, `matching`, `dispatch` and `readback`, which know nothing of one
another; then `status`, `privacy`, `housekeeping` and `backup`. Nothing imports a room above its own
(`.importlinter`).
"""
