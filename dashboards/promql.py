"""PromQL that several dashboards and alerts share. `where` is what stands between the braces."""

from __future__ import annotations

RATE = "$__rate_interval"  # Grafana's: never shorter than four scrapes
RANGE = "$__range"  # what the dashboard shows

OLDEST = "max by (tenant, role) (sinal_queue_oldest_seconds)"
DEPTH = "max by (tenant, role) (sinal_queue_depth)"
# 0 in processes that are not housekeeping
HEARTBEAT = "time() - max(sinal_heartbeat_last_timestamp_seconds > 0)"
STOPPED = "max by (tenant, destination, reason) (sinal_breaker_reason)"


def rate(metric: str, by: str, where: str = "", window: str = RATE) -> str:
    """Events a second by some labels."""
    return f"sum by ({by}) (rate({metric}{{{where}}}[{window}]))"


def grown(metric: str, where: str, window: str) -> str:
    """By how much a counter grew, a series that was born within the window included.

    `increase` starts from a series' first sample: what it was born with, it does not see. Counters
    here are born with their first event, so a first burst would go unseen. A gap of up to 15
    minutes in scraping makes no series newborn.
    """
    series = f"{metric}{{{where}}}" if where else metric
    born = f"({series} unless present_over_time({series}[15m] offset {window}))"
    return f"({born} or increase({series}[{window}]))"


def quantile(
    share: float, histogram: str, by: str = "", where: str = "", window: str = RATE
) -> str:
    """A quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return (
        f"histogram_quantile({share}, sum by ({labels}) "
        f"(rate({histogram}_bucket{{{where}}}[{window}])))"
    )


def mean(summary: str, by: str = "", where: str = "", window: str = RATE) -> str:
    """The mean of a histogram's observations."""
    total = f"sum by ({by})" if by else "sum"
    parts = (f"{total} (rate({summary}_{part}{{{where}}}[{window}]))" for part in ("sum", "count"))
    return " / ".join(parts)


def or_zero(expression: str) -> str:
    """One number also where nothing was ever counted."""
    return f"{expression} or vector(0)"
