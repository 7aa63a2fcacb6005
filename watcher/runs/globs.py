"""Globs as layouts write them, turned into regular expressions once.

`*` and `?` stay within a name and never match a leading dot (as in a shell), `**/` is any number of folders, `{a,b}`
are alternatives (which may hold slashes and may be empty), `[0-9]` a set of characters. Paths are relative, with `/`.
A glob of a unit may climb with `../` or start with `/` (the run folder); `anchored` resolves both and never leaves
the run folder. Knows no layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

_WILD = re.compile(r"[*?\[{]")


def is_literal(glob: str) -> bool:
    """Tell whether a glob names exactly one path."""
    return _WILD.search(glob) is None


def alternatives(glob: str) -> list[str]:
    """Return the globs without braces that a glob stands for; an unclosed brace stands for itself."""
    start = glob.find("{")
    if start < 0:
        return [glob]
    depth, parts, begin = 0, [], start + 1
    for at in range(start, len(glob)):
        char = glob[at]
        if char == "{":
            depth += 1
        elif char == "," and depth == 1:
            parts.append(glob[begin:at])
            begin = at + 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                parts.append(glob[begin:at])
                head, tails = glob[:start], alternatives(glob[at + 1 :])
                return [head + middle + tail for part in parts for middle in alternatives(part) for tail in tails]
    return [glob]


def depth_of(glob: str) -> int | None:
    """Return how many levels below its base a glob looks, None for any number."""
    plain = alternatives(glob)
    return None if any("**" in one for one in plain) else max(one.strip("/").count("/") + 1 for one in plain)


def compiled(globs: Iterable[str], *, hidden: bool = False, ignore_case: bool = False) -> re.Pattern[str]:
    """Return one pattern for `fullmatch` that accepts what any of the globs accepts; no globs accept nothing.

    `hidden` lets wildcards match leading dots.
    """
    plain = [one for glob in globs for one in alternatives(glob)]
    branches = [_translated(one, hidden) for one in plain if not one.startswith("**/")]
    if anywhere := [_translated(one[3:], hidden) for one in plain if one.startswith("**/")]:
        # The folders are walked over once for all of these: with dozens of them, that is most of the time.
        branches.append(f"{_translated('**/', hidden)}(?:{'|'.join(anywhere)})")
    return re.compile("|".join(branches) if branches else r"(?!)", re.IGNORECASE if ignore_case else 0)


def anchored(folder: str, glob: str) -> tuple[str, str] | None:
    """Return (folder the glob starts from, glob below it), both relative to the run folder; None when it would leave
    it.

    `folder` is the unit's folder, "" or "." for the run folder itself.
    """
    steps = [step for step in folder.split("/") if step not in ("", ".")]
    if glob.startswith("/"):
        return "", glob.lstrip("/")
    rest = glob
    while True:
        if rest.startswith("./"):
            rest = rest[2:]
        elif rest.startswith("../") and steps:
            steps.pop()
            rest = rest[3:]
        else:
            break
    return None if rest == ".." or rest.startswith("../") else ("/".join(steps), rest)


def literal_parents(glob: str) -> Sequence[str]:
    """Return the folders, outermost first, that a glob certainly passes through (`Logs` for `Logs/*.txt`)."""
    parents: list[str] = []
    for step in glob.split("/")[:-1]:
        if not is_literal(step):
            break
        parents.append(f"{parents[-1]}/{step}" if parents else step)
    return parents


@lru_cache(maxsize=4096)
def _translated(glob: str, hidden: bool) -> str:
    out: list[str] = []
    at, name_begins = 0, True
    dot = "" if hidden else r"(?!\.)"
    while at < len(glob):
        if name_begins and glob.startswith("**/", at):
            out.append(f"(?:{dot}[^/]+/)*")
            at += 3
            continue
        if name_begins and glob[at:] == "**":
            out.append(f"{dot}[^/]+(?:/{dot}[^/]+)*")
            break
        char = glob[at]
        guard = dot if name_begins else ""
        at += 1
        if char == "*":
            while at < len(glob) and glob[at] == "*":
                at += 1
            # A name is never empty: `folder/*` is not the folder.
            whole = name_begins and (at == len(glob) or glob[at] == "/")
            out.append(guard + ("[^/]+" if whole else "[^/]*"))
        elif char == "?":
            out.append(guard + "[^/]")
        elif char == "[" and (end := glob.find("]", at + 1)) > 0:
            inner = glob[at:end].replace("\\", r"\\")
            negated = inner.startswith("!")
            out.append(f"{guard}[{'^/' if negated else ''}{inner[1:] if negated else inner}]")
            at = end + 1
        else:
            out.append(re.escape(char))
        name_begins = char == "/"
    return "".join(out)
