"""``python -m engine``: scores, effects, circuits and their verification, for scripts and for checking."""

import sys

from engine.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
