"""What `outputs:` of a delivery means: which of a workflow's outputs it selects.

A pattern (`*`, `?`) is held against the labels of outputs. Three kinds of pattern say more: `step:STEP/OUTPUT` names an
output by the label or number of its step, also one that has no label; `ext:EXTENSION` and `tag:TAG` choose among the
results by what Galaxy made of them, which nobody knows before. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

STEP, EXT, TAG = "step:", "ext:", "tag:"


def selects(label: str, patterns: Sequence[str]) -> bool:
    """Tell whether one of the patterns (`*`, `?`) fits the label of an output."""
    return any(fnmatchcase(label, pattern) for pattern in patterns)


def is_known_later(pattern: str) -> bool:
    """Tell whether only what Galaxy made shows what a pattern selects."""
    return pattern.startswith((EXT, TAG))


def selects_step(pattern: str, index: int, label: str, outputs: Collection[str]) -> list[str]:
    """Return those outputs of a step that a pattern of the kind `step:STEP/OUTPUT` selects; steps are counted from 0,
    as in the workflow file.
    """
    step, slash, output = pattern.removeprefix(STEP).rpartition("/")
    if not (slash and pattern.startswith(STEP) and any(fnmatchcase(one, step) for one in (label, str(index)) if one)):
        return []
    return [one for one in outputs if fnmatchcase(one, output)]


def selects_dataset(pattern: str, ext: str, tags: Collection[str]) -> bool:
    """Tell whether a pattern of the kinds `ext:EXTENSION` and `tag:TAG` selects a dataset; `#x` is Galaxy's way to show
    the tag `name:x`.
    """
    if pattern.startswith(EXT):
        return fnmatchcase(ext.lower(), pattern.removeprefix(EXT).lower())
    if pattern.startswith(TAG):
        wanted = pattern.removeprefix(TAG)
        wanted = f"name:{wanted[1:]}" if wanted.startswith("#") else wanted
        return any(fnmatchcase(tag, wanted) for tag in tags)
    return False
