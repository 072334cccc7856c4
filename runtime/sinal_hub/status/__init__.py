"""What only one role needs to look at: how much waits where, and which signals sales carry.

Housekeeping runs it.
"""
