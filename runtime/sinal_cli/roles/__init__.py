"""Roles of the platform: what each is made of and which settings it reads.

A role starts and stops as a whole; its parts are wired here only.
"""
