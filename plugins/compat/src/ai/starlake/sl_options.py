"""``ai.starlake.sl_options``, as files import it."""

from starlake_core_compat.sl_options import merge_sl_options

__all__ = ["merge_sl_options"]
