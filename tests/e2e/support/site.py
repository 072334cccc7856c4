"""An installed Sinal as people see it from outside: its URLs and keys, as `sinal up --ready-file`
writes them.

`python -m tests.e2e.support.site --namespace sinal` prints that description of the cluster that
KUBECONFIG leads to.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import load_text
from sinal_crds.schema import FACES

from tests.cluster.support.kubectl import Kubectl

KINDS = ",".join(f"{face.plural}.sinal.dev" for face in FACES.values())


class Site:
    """One release, and the objects of one namespace that it serves."""

    def __init__(self, release: Kubectl, shop: Kubectl, *, name: str = "sinal") -> None:
        self.release, self.shop, self.name = release, shop, name

    def secret(self, name: str, key: str) -> str:
        """A value of one of the release's Secrets."""
        data = self.release.get("secret", f"{self.name}-{name}").get("data", {})
        return base64.b64decode(data[key]).decode()

    def describe(self, *, ingest: str, api: str, sandbox: str) -> dict[str, Any]:
        """URLs and keys; webhook URLs are the paths that the statuses name, below `ingest`."""
        objects = json.loads(self.shop.do("get", KINDS, "-o", "json"))
        keyring = Keyring.from_json(self.secret("keyring", "keyring.json").encode())
        loaded = load_text(json.dumps(objects))
        minted = compile(loaded.objects, loaded.secrets, keyring).minted
        integrations = {
            item["metadata"]["name"]: item for item in objects["items"] if "gateway" in item["spec"]
        }
        tenants = {}
        for slug, keys in minted.items():
            webhooks = {
                name: {
                    **hook,
                    "url": ingest + urlsplit(integrations[name]["status"]["webhookURL"]).path,
                }
                for name, hook in keys["webhooks"].items()
            }
            tenants[slug] = {"funnels": keys["funnels"], "webhooks": webhooks}
        return {
            "ingest": ingest,
            "api": api,
            "sandbox": sandbox,
            "admin_key": self.secret("admin", "admin-key"),
            "tenants": tenants,
        }


def main() -> None:
    """Print the description of an installation in the cluster of KUBECONFIG."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    add = parser.add_argument
    add("--namespace", default="sinal", help="namespace of the release (default: %(default)s)")
    add(
        "--shop", default="default", help="namespace of the tenants' objects (default: %(default)s)"
    )
    add(
        "--ingest",
        default="http://127.0.0.1:8080",
        help="where ingest answers (default: %(default)s)",
    )
    add(
        "--api",
        default="http://127.0.0.1:8081",
        help="where the operations API answers (default: %(default)s)",
    )
    add(
        "--sandbox",
        default="http://127.0.0.1:8082",
        help="where the sandbox answers (default: %(default)s)",
    )
    options = parser.parse_args()
    admin = Kubectl(Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config"))
    site = Site(admin.in_namespace(options.namespace), admin.in_namespace(options.shop))
    json.dump(
        site.describe(ingest=options.ingest, api=options.api, sandbox=options.sandbox),
        sys.stdout,
        indent=2,
    )


if __name__ == "__main__":
    main()
