"""What every room of the hub speaks of: events, sales, evidence, and the words that mean nothing.
No I/O.
"""
