"""The demo: a journey through the real system, seen from outside, and what became of each event."""
