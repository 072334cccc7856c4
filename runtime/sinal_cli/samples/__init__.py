"""Sample deliveries of every gateway, signed as each signs: what `sinal gateways send` plays
through the real door.
"""
