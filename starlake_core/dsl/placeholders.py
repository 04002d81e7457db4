"""Double braces, which templating engines render and this project does not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..logs import get_logger
from ..masking import is_secret_name

__all__ = ["DS", "warn_of_template"]

logger = get_logger(__name__)

DS = re.compile(r"\{+\s*ds\s*\}+")
"""``{{ ds }}``, in any number of braces: the date of the data interval in the path of an acknowledgement file."""
_TEMPLATE = re.compile(r"\{\{.*?\}\}")


def warn_of_template(value: object, what: str) -> None:
    """Warn if a value has double braces, because they are passed on as they are.

    Args:
        value: a value of any type. Values under secret names in a mapping are skipped.
        what: what it is, for the message.
    """
    if isinstance(value, Mapping):
        value = {name: item for name, item in value.items() if not is_secret_name(str(name))}
    text = str(value) if value else ""
    found = _TEMPLATE.search(text) if "{{" in text else None
    if found is not None:
        logger.warning(
            "%s in %s is passed on as it is; run-time values are written ${sl_ds}, ${sl_data_interval_end} ...",
            found[0],
            what,
        )
