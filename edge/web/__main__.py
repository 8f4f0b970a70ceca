"""`python -m edge.web FOLDER PORT MODE`: how `auricle web` and the daemon start the console.

PORT: `-` for that of [web].  MODE: `terminal` or `child`.
"""

import sys
from pathlib import Path

from .process import serve_console

if __name__ == "__main__":
    folder, port, mode = sys.argv[1:]
    status = serve_console(Path(folder), None if port == "-" else int(port), child=mode == "child")
    sys.exit(status)
