"""Of many alike cases, which run each time: the first ones. The others are slow tests, which `make test-extra` runs.

What may be called alike is for the test to say: cases that go the same way through the program.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def rarer(cases: Iterable[Any], *, keep: int = 0) -> list[Any]:
    """Return the cases as they are for the first `keep`, and as slow tests from there on."""
    return [case if number < keep else _slow(case) for number, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    if not hasattr(case, "marks"):
        values = case if isinstance(case, tuple) else (case,)
        return pytest.param(*values, marks=pytest.mark.slow)
    return pytest.param(*case.values, id=case.id, marks=[*case.marks, pytest.mark.slow])
