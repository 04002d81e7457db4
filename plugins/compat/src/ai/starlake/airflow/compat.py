"""A removed module: importing it fails and says what to use."""

from starlake_core_compat.removed import refuse_module

refuse_module(__name__)
