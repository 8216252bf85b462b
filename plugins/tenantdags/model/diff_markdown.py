"""A diff as Markdown for a pull request's comment: nothing a file says can become markup, a mention or a link."""

from __future__ import annotations

import re

from tenantdags.model.diff import Diff
from tenantdags.model.diff_text import Section, heading, sections, summary

MARKER = "<!-- tenantdags diff -->"  # by this line the comment is found again
LIMIT = 60_000  # GitHub takes 65,536 characters
FRAMES = 3_000  # titles and folds of all sections
_OPEN = ("Does not pass check", "Warnings")


def to_markdown(diff: Diff) -> str:
    """Warnings and errors open, the rest folded; cut at whole lines, saying so, where GitHub would refuse it."""
    parts = [MARKER, "### What merging this does", "", f"**{summary(diff)}**"]
    room = LIMIT - FRAMES
    for section in sections(diff):
        shown, room = _fitted(section, room)
        parts += ["", *shown]
    return "\n".join([*parts, "", f"<sub>{_plain(heading(diff))}</sub>"]) + "\n"


def _fitted(section: Section, room: int) -> tuple[list[str], int]:
    title, lines = section
    kept = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    if len(kept) < len(lines):
        kept.append(f"… {len(lines) - len(kept):,} more lines; `tenantdags diff` shows them all")
    return _section(title, kept), room


def _section(title: str, lines: list[str]) -> list[str]:
    block = _block(lines)
    if title in _OPEN:
        return [f"#### {title}", "", *block]
    return ["<details>", f"<summary>{_plain(title)}</summary>", "", *block, "", "</details>"]


def _block(lines: list[str]) -> list[str]:
    # in a fence longer than any run of backticks inside, nothing is markup
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *lines, fence]


def _plain(text: str) -> str:
    return re.sub(r"[^\w\s.,:/@→()^-]", "", text).replace("@", "@\u200b")
