"""Text that no configuration needs and a reviewer cannot trust: secrets, templates, paths out, letters that deceive."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

Path = tuple[str | int, ...]
Finding = tuple[str, str]  # rule, what

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
# what does not show or turns the direction of reading: a reviewer sees another text than the machine
_UNSEEN = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
# most of what files say, and too short for any key: thousands of files are read at once
_HARMLESS = re.compile(r"[a-z0-9_ @-]{0,31}")
_JINJA = re.compile(r"\{\{|\{%|\{#")
_UPWARD = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)")
_ABSOLUTE = re.compile(r"(?:/|~/|[A-Za-z]:[\\/]|\\\\)\S+")
_WORD = re.compile(r"\w+")
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK")
_DISGUISED = ("FULLWIDTH", "MATHEMATICAL")
_ABSOLUTE_IS_MEANT = frozenset({("databricks", "notebook")})
_DATA = frozenset({"enum", "validValues", "missingValues", "examples", "tenant_value"})

_SECRETS = {
    "a connection string or a password": re.compile(
        r"(?i)(?:password|passwd|pwd|accountkey|sharedaccesskey|client_?secret|api[_-]?key|token)\s*=\s*[^\s;]{3}"
    ),
    "a URL with a password": re.compile(r"://[^/\s:@]*:[^/\s@]+@"),
    "a Databricks token": re.compile(r"\bdapi[0-9a-f]{32}"),
    "a GitHub token": re.compile(r"\b(?:gh[opsu]_\w{30}|github_pat_\w{20})"),
    "a Slack token or webhook": re.compile(r"\bxox[abeprs]-|hooks\.slack\.com/services/"),
    "a cloud access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}"),
    "a signed URL": re.compile(r"[?&]sig=[\w%+/=-]{10}"),
    "a web token": re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{8}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
}
_RANDOM = re.compile(r"(?<![\w+/=-])[\w+/=-]{32,}(?![\w+/=-])")
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_BITS = 4.3  # per character: 32 random base64 characters have about 4.6, words repeat their letters more
_CHANGES = 0.47  # random base64 has about 0.64 and hardly ever less than this, words joined by signs about 0.3


def unseen(text: str) -> Iterator[tuple[int, Finding]]:
    """Offset and finding of every character a reader cannot see, comments included."""
    for pattern, rule, why in (
        (_CONTROL, "CFG033", "is a control character; delete it"),
        (_UNSEEN, "CFG034", "cannot be seen, or turns the text around; delete it"),
    ):
        yield from ((found.start(), (rule, f"{_named(found[0])} {why}")) for found in pattern.finditer(text))


def unsafe(text: str, path: Path) -> Finding | None:
    """The first reason not to take this key or value, without repeating it: it may be a secret."""
    if _HARMLESS.fullmatch(text):
        return None
    hidden = next(unseen(text), None)
    if hidden:
        return hidden[1]
    secret = _secret(text, path)
    if secret:
        remedy = "take it out, and change it where it is valid; Airflow connections hold secrets, files only their ids"
        return "CFG037", f"looks like a secret ({secret}): {remedy}"
    return _disguised(text) or _template_or_path(text, path)


def _template_or_path(text: str, path: Path) -> Finding | None:
    template = _JINJA.search(text)
    if template:
        return "CFG035", f"{template[0]!r} would be a Jinja template, and files are plain data; write the value"
    if _UPWARD.search(text):
        return "CFG036", "holds '..', which leads out of its folder; write the path without it"
    if path not in _ABSOLUTE_IS_MEANT and not _DATA & set(path) and _ABSOLUTE.fullmatch(text):
        return "CFG036", "is an absolute path, which holds on one machine only; write it from the project's folder"
    return None


def _secret(text: str, path: Path) -> str | None:
    if len(text) < 8:
        return None
    known = next((kind for kind, pattern in _SECRETS.items() if pattern.search(text)), None)
    if known or _DATA & set(path):
        return known
    return "a random key" if any(_random(word) for word in _RANDOM.findall(text)) else None


def _random(word: str) -> bool:
    """Hex digits or base64; a long number, a name of many words or a path is neither."""
    if _HEX.fullmatch(word):
        return len(re.findall("[0-9]+", word)) > 1 and not word.isdigit()
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in Counter(word).values())
    mixed = all(re.search(letters, word) for letters in ("[A-Z]", "[a-z]", "[0-9]"))
    return mixed and bits > _BITS and (word.endswith("=") or _changes(word) > _CHANGES)


def _changes(word: str) -> float:
    """How often capital, small letter, digit and sign follow another kind, per pair of neighbours."""
    kinds = ["A" if c.isupper() else "a" if c.islower() else "0" if c.isdigit() else "-" for c in word]
    return sum(one != other for one, other in pairwise(kinds)) / (len(word) - 1)


def _disguised(text: str) -> Finding | None:
    """A letter of another alphabet inside a word: it looks right and equals nothing."""
    if text.isascii():
        return None
    for word in _WORD.findall(text):
        letters = {letter: unicodedata.name(letter, "") for letter in word if letter.isalpha()}
        scripts = {script for name in letters.values() for script in _SCRIPTS if name.startswith(script)}
        odd = next((x for x, n in letters.items() if n.startswith(_DISGUISED)), None)
        if len(scripts) > 1:
            odd = odd or next(x for x, n in letters.items() if n.startswith(_SCRIPTS[1:]))
        if odd:
            return "CFG034", f"{_named(odd)} looks like another letter of {word!a}; type the word again"
    return None


def _named(letter: str) -> str:
    return f"U+{ord(letter):04X} {unicodedata.name(letter, '')}".strip()
