"""Concurrency that several rooms need: joining small calls, sharing one read, pacing periodic
work.
"""
