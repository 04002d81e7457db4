"""``python -m ai.starlake.orchestration``, as documented."""

from starlake_core_compat.command_line import main

if __name__ == "__main__":
    main()
