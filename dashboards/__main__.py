"""Write every generated file: `python -m dashboards [FOLDER]`, by default into this repository."""

from __future__ import annotations

import sys
from pathlib import Path

from dashboards import files


def main() -> None:
    """Write what differs, remove what is no longer made."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else files.ROOT
    made = files.made()
    for folder in files.FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for path in (root / folder).iterdir():
            if str(path.relative_to(root)) not in made:
                path.unlink()
    for name, text in made.items():
        (root / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
