"""Write the files that are made from health.lua: `python -m gitops`."""

from __future__ import annotations

from gitops import argocd


def main() -> None:
    """Write them."""
    for path, text in argocd.made().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
