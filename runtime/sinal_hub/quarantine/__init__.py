"""Verified deliveries that no gateway module understands: kept sealed, bounded per tenant, read
again.
"""
