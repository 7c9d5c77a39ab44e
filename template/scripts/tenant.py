"""Run the set-up of the template here: `setup`, `doctor`, `token`; `--help` says more."""

import sys
from pathlib import Path

from fastapi_auth0_template.__main__ import main

PROJECT = ["--project", str(Path(__file__).absolute().parent.parent)]

if __name__ == "__main__":
    command = sys.argv[1:2] if sys.argv[1:2] in (["setup"], ["doctor"], ["token"]) else []
    main([*command, *(PROJECT if command else []), *sys.argv[1 + len(command) :]])
