# SPDX-License-Identifier: Apache-2.0
"""Writes the files that are made from the code: docs/settings.md, and docs/schema/ (JSON Schema and AsyncAPI).

`--check` only says whether they are up to date.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "device"))

from nigiwai.lab.settings_page import settings_page
from nigiwai.link import schema

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "settings.md": settings_page,
    **{DOCS / "schema" / name: text.__str__ for name, text in schema.files().items()},
}


def main() -> int:
    """Writes or checks every page; 1 if one was out of date."""
    stale = [p for p, make in PAGES.items() if not p.is_file() or p.read_text(encoding="utf-8") != make()]
    if "--check" not in sys.argv:
        for path in stale:
            path.write_text(PAGES[path](), encoding="utf-8")
    for path in stale:
        print(f"{path.relative_to(DOCS.parent)} {'is out of date: make docs' if '--check' in sys.argv else 'written'}")  # noqa: T201
    return bool(stale) if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
