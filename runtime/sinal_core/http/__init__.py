"""The HTTP shell of every server: guarded protocol, requests and answers, problem documents,
drain.
"""
