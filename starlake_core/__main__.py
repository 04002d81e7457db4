"""``python -m starlake_core``: the command line."""

import os
import sys

if __name__ == "__main__":
    # Python puts the working directory first on its import path, but nothing must be imported from there.
    if sys.path and sys.path[0] in ("", os.getcwd()) and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    from .cli import main

    main()
