"""Signals to candidates to score to decision, with its explanation; order state."""
