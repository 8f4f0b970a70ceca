"""Write the generated files: records.py, the C codec and the tables of docs/explanation/wire.md."""

import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE))

# Importable only with the path above.
from firmware_bridge.codegen import generated, wire_page  # noqa: E402


def main() -> int:
    """Write each file that differs. Returns the exit status."""
    page = (SOURCE / "docs/explanation/wire.md").read_text("utf-8")
    for name, text in {**generated(), "docs/explanation/wire.md": wire_page(page)}.items():
        path = SOURCE / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
