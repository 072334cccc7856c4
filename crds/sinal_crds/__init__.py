"""The contract: what a person declares, how it is checked, what it compiles to.

I/O only in `loading` and `schema`.
"""
