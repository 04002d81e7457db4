"""Double braces, which templating engines render and this project does not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..logs import get_logger
from ..masking import is_secret_name

__all__ = ["FILLED", "fill", "known_names", "warn_of_template"]

logger = get_logger(__name__)

FILLED = ("global_ack_file_path", "pre_load_not_ready_sentinel_path")
"""The options whose paths may have names in braces."""
_NAME = re.compile(r"(?<!\$)\{+\s*([A-Za-z_]\w*)\s*\}+")
_TEMPLATE = re.compile(r"\{\{.*?\}\}")


def known_names(env: Mapping[str, str], domain: str) -> dict[str, str]:
    """The names that a path for a domain may have in braces, and their values.

    Args:
        env: the variables of the commands; each of them is known by its name.
        domain: logical name.
    """
    root = env.get("SL_ROOT", "").rstrip("/")
    # Without a known root the path is relative: the working directory of the command is the root.
    datasets = env.get("SL_DATASETS", f"{root}/datasets" if root else "datasets").rstrip("/")
    return {**env, "SL_DATASETS": datasets, "domain": domain, "ds": "${sl_ds}"}


def fill(path: str, known: Mapping[str, str]) -> str:
    """A path with what is known in place of its name, in braces of any number: ``{domain}``, ``{{ ds }}``, ``{{SL_ROOT}}``.

    Args:
        path: what is not known, and every ``${...}``, stays as it is.
        known: by name.
    """
    return _NAME.sub(lambda found: known.get(found[1], found[0]), path)


def warn_of_template(value: object, what: str) -> None:
    """Warn if a value has double braces, because they are passed on as they are.

    Args:
        value: a value of any type. Values under secret names in a mapping are skipped.
        what: what it is, for the message.
    """
    if isinstance(value, Mapping):
        value = {name: item for name, item in value.items() if not is_secret_name(str(name))}
    text = str(value) if value else ""
    found = dict.fromkeys(_TEMPLATE.findall(text)) if "{{" in text else ()
    if found:
        logger.warning(
            "%s in %s is passed on as it is; run-time values are written ${sl_ds}, ${sl_data_interval_end} ...",
            ", ".join(found),
            what,
        )
