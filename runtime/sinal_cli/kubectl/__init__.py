"""`kubectl sinal`: the client of the operations API, and what custom resources say, from where
kubectl works.
"""
