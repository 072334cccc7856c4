"""What the API server asks to find out what there is: groups, resources, and schemas, of which
there are none.
"""

from __future__ import annotations

from typing import Any

from sinal_metrics_adapter.ports import GROUP, VERSION
from sinal_metrics_adapter.values import METRICS

_HERE = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
_GROUP = {"name": GROUP, "versions": [_HERE], "preferredVersion": _HERE}

DOCUMENTS: dict[str, dict[str, Any]] = {
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
    f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
    f"/apis/{GROUP}/{VERSION}": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [
            {
                "name": name,
                "singularName": "",
                "namespaced": True,
                "kind": "ExternalMetricValueList",
                "verbs": ["get"],
            }
            for name in METRICS
        ],
    },
    # The API server asks every extension for its schemas. Empty ones spare it errors and waiting.
    "/openapi/v2": {
        "swagger": "2.0",
        "info": {"title": "sinal-metrics-adapter", "version": VERSION},
        "paths": {},
    },
    "/openapi/v3": {"paths": {}},
}
