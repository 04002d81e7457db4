"""Masks secrets wherever they could be seen or stored: in logs, reprs, tables and run records."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["MASK", "is_secret_name", "mask_arguments", "mask_mapping", "mask_text", "secret_arguments", "secret_values"]

MASK = "***"

# Only a whole word of a name counts: PASS in DB_PASS and dbPass, but not in COMPASS or PASSENGERS.
_SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|PASSCODE|PASSKEY|SECRET|TOKEN|KEY|CREDENTIAL|BEARER|AUTHORIZATION|COOKIE|SIGNATURE"
    r"|(?<![A-Z])(?:PWD|PASS|O?AUTH|SAS|CREDS?)(?![A-Z])|PWD$",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_SECRET = frozenset({"sl_run_key", "primarykeys", "primarykey"})
# A path to a key is not the key.
_PATH_NAME = re.compile(r"[_.-](?:FILE|PATH|DIR|DIRECTORY|FOLDER)$", re.IGNORECASE)
_FOLDERS = frozenset({"PWD", "OLDPWD"})
_OPTION = re.compile(r"--(?P<name>[^=:]*)(?P<sign>[=:]?)")
# Masking a shorter value ("1", "yes", "true") would make logs unreadable without hiding anything.
_SHORTEST_SECRET = 6
_SHORTEST_WORD = 3
_WORDS_OF_ALL = frozenset({"true", "false", "none", "null", "yes", "off", "auto", "test", "local"})

# The output of a task must not affect the running time: every pattern begins with fixed words, and the rest is bounded
# or can end in only one way.
_END_OF_AUTHORITY = re.compile(r"[\s/?#]")
_SCHEME = "://"
_VALUE = r"""(?:(?:Bearer|Basic|Token|Digest)\s{1,4}[^\s,;"'&]+|"[^"]*"?|'[^']*'?|[^\s,;&"')\]}>]+)"""
_PAIR = re.compile(
    r"(?P<name>(?:PASSWORD|PASSWD|PASSPHRASE|PASSCODE|SECRET|TOKEN|(?:API|ACCESS|PRIVATE|ACCOUNT|SHARED|ENCRYPTION|MASTER)[_-]?KEY"
    r"|CREDENTIAL|AUTHORIZATION|COOKIE|SIGNATURE|(?<![A-Z])(?:PWD|PASS|O?AUTH|SAS)(?![A-Z]))"
    rf"[\w-]{{0,64}}[\"']?\s{{0,2}}=>?\s{{0,2}})(?P<value>{_VALUE})",
    re.IGNORECASE,
)
# Colons are common in prose, so a colon counts after fewer words, and after every quoted name.
_COLON = re.compile(
    r"(?P<name>(?:(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|AUTHORIZATION|API[_-]?KEY|COOKIE)[\w-]{0,64}[\"']?"
    r"|(?:TOKEN|(?<!SL_RUN_)(?<!PRIMARY)(?<!PRIMARY_)KEY|CREDENTIAL|PWD|PASS|AUTH|SIGNATURE)[\w-]{0,64}[\"'])"
    rf"\s{{0,2}}:\s{{0,2}})(?P<value>{_VALUE})",
    re.IGNORECASE,
)
# Most lines have none of these, and searching for them is cheap.
_HINTS = ("pass", "pwd", "secret", "token", "key", "credential", "auth", "cookie", "signature", "sas")
_BEARER = re.compile(r"(?P<name>\b(?:Bearer|Basic)\s{1,4})(?P<value>[A-Za-z0-9._~+/=-]{8,})")
# ODBC and JDBC write PWD=...; a shell writes PWD=/folder.
_FOLDER = re.compile(r"(?:OLD)?PWD=['\"]?/")


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return whether the value of a variable or option with this name must be masked. A path is not secret, even if it
    leads to a key.

    >>> is_secret_name("SNOWFLAKE_PASSWORD"), is_secret_name("SL_ROOT"), is_secret_name("SL_RUN_KEY")
    (True, False, False)
    >>> is_secret_name("ssh_key"), is_secret_name("ssh_key_file"), is_secret_name("tokenPath")
    (True, False, False)
    """
    if name.lower() in _NOT_SECRET or name in _FOLDERS:
        return False
    words = _HUMP.sub("_", name)
    return _SECRET_NAME.search(words) is not None and _PATH_NAME.search(words) is None


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask known secret values, the user part of URLs, and the values of secret names in a string.

    The running time is proportional to the length of the text, whatever its content.

    >>> mask_text("jdbc:postgresql://me:pw@host/db hunter22", ["hunter22"])
    'jdbc:postgresql://***@host/db ***'
    >>> mask_text("Server=s;Password=pw;User=u, Authorization: Bearer abc.def")
    'Server=s;Password=***;User=u, Authorization: ***'
    """
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK) if len(secret) >= _SHORTEST_SECRET else _word(secret).sub(MASK, text)
    if _SCHEME in text and "@" in text:
        text = _without_users(text)
    lower = text.lower()
    if any(word in lower for word in _HINTS):
        text = _COLON.sub(_hidden, _PAIR.sub(_hidden, text))
    if "bearer" in lower or "basic" in lower:
        text = _BEARER.sub(_hidden, text)
    return text


def _hidden(found: re.Match[str]) -> str:
    if _FOLDER.match(found[0]) or _PATH_NAME.search(_HUMP.sub("_", found["name"].rstrip("=>:\"' "))):
        return found[0]
    value = found["value"]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found['name']}{quote}{MASK}{quote if len(value) > 1 and value[-1] == quote else ''}"


@functools.lru_cache(maxsize=256)
def _word(secret: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)")


def _without_users(text: str) -> str:
    """Return the text without the user parts of URLs, which end at the last @ of the authority."""
    parts: list[str] = []
    done = 0
    while True:
        scheme = text.find(_SCHEME, done)
        if scheme < 0:
            break
        start = scheme + len(_SCHEME)
        found = _END_OF_AUTHORITY.search(text, start)
        end = found.start() if found is not None else len(text)
        user = text.rfind("@", start, end)
        if user > start and scheme and text[scheme - 1].isalnum():
            parts += [text[done:start], MASK]
            done = user
            parts.append(text[done:end])
        else:
            parts.append(text[done:end])
        done = end
    parts.append(text[done:])
    return "".join(parts)


def secret_values(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of environment variables that must not appear in output, longest first.

    Values of one or two characters, and words such as *true*, are left out because they occur in every text.
    """
    values = [value for name, value in env.items() if is_secret_name(name)]
    # Output is masked line by line, and a key may have several lines.
    found = {
        line
        for value in values
        for line in value.splitlines()
        if len(line) >= _SHORTEST_WORD and line.lower() not in _WORDS_OF_ALL
    }
    return tuple(sorted(found, key=lambda line: (-len(line), line)))


def secret_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """Return the secrets in an argument vector that :func:`mask_arguments` masks, by name."""
    found: dict[str, str] = {}
    name = ""
    for argument in arguments:
        option = _OPTION.match(argument)
        if name:
            found[name], name = argument, ""
        elif option is not None and is_secret_name(option["name"]):
            value = argument[option.end() :]
            name = "" if option["sign"] else option["name"]
            if option["sign"]:
                found[option["name"]] = value
        else:
            pairs = argument[option.end() if option is not None else 0 :].split(",")
            found.update(
                (key, value) for key, _, value in (pair.partition("=") for pair in pairs) if is_secret_name(key)
            )
    return found


def mask_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Mask secret values in an argument vector: ``--accessToken X``, ``--options password=X``.

    >>> mask_arguments(["load", "--accessToken", "abc", "--options", "a=1,db_password=2"])
    ('load', '--accessToken', '***', '--options', 'a=1,db_password=***')
    """
    masked: list[str] = []
    hide_next = False
    for argument in arguments:
        if hide_next:
            masked.append(MASK)
            hide_next = False
        else:
            shown, hide_next = _mask_argument(argument)
            masked.append(shown)
    return tuple(masked)


@functools.lru_cache(maxsize=4096)
def _mask_argument(argument: str) -> tuple[str, bool]:
    """Return an argument without its secrets, and whether the next one is a secret. Cached, because the tasks of a
    pipeline share most arguments."""
    if argument[:2] != "--" and not any(sign in argument for sign in "=@: "):
        return argument, False
    option = _OPTION.match(argument)
    if option is not None and is_secret_name(option["name"]):
        return (f"--{option['name']}{option['sign']}{MASK}", False) if option["sign"] else (argument, True)
    prefix = option[0] if option is not None else ""
    rest = argument[len(prefix) :]
    return prefix + (",".join(map(_mask_pair, rest.split(","))) if "=" in rest else mask_text(rest)), False


def _mask_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    # A name that is a sentence or a header is treated as text.
    plainly = equals and not any(sign in name for sign in " :\t\n")
    return f"{name}={MASK}" if plainly and is_secret_name(name) else mask_text(pair)


def mask_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """Mask the values of secret names in a mapping, including nested mappings and lists of mappings.

    >>> mask_mapping({"env": [{"name": "DB_PASSWORD", "value": "hunter2"}], "token": "abc"})
    {'env': [{'name': 'DB_PASSWORD', 'value': '***'}], 'token': '***'}
    """
    if "value" in values and is_secret_name(str(values.get("name", ""))):
        values = {**values, "value": MASK if values["value"] else values["value"]}
    return {name: MASK if is_secret_name(str(name)) and value else _mask_value(value) for name, value in values.items()}


def _mask_value(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return mask_mapping(value)
    if isinstance(value, (list, tuple)):
        return [_mask_value(item) for item in value]
    return value
