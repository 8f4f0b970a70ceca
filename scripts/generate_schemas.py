"""Regenerate docs/schemas/ from the classes of the messages."""

import json
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE))

# Importable only with the path above.
from edge.mqtt import message_schemas  # noqa: E402


def main() -> int:
    """Write each file that differs.  Returns the exit status."""
    folder = SOURCE / "docs/schemas"
    folder.mkdir(exist_ok=True)
    for kind, schema in message_schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        path = folder / f"{kind}.json"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(path.relative_to(SOURCE))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
