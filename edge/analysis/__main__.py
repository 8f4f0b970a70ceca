"""`python -m edge.analysis FOLDER`: the analysis process; see `client`."""

import sys
from pathlib import Path

from .process import serve

if __name__ == "__main__":
    serve(Path(sys.argv[1]))
