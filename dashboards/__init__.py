"""What people watch Sinal with: Grafana dashboards and Prometheus rules, made from short
definitions.

`python -m dashboards` writes them into the chart (`make dashboards`). Invariants, checked by tests:
every query parses and uses only metrics and labels that Sinal, or a named exporter, really serves;
every panel says what it is for; every alert has a runbook.
"""
