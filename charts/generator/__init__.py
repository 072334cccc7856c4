"""Makes what of the charts is not written by hand: values, their schema, the README's table,
definitions.
"""
