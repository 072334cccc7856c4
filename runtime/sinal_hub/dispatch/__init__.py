"""Sending to Meta: what the outbox of `sinal_core` asks of a product, answered for Meta."""
