"""Watches compiled plans, unseals secrets, hands the rooms an immutable snapshot."""
