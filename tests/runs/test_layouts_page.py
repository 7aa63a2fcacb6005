"""docs/layouts.md is made of the layouts themselves: what is written there is what the program reads.

`WATCHER_WRITE_LAYOUTS=1 pytest tests/runs/test_layouts_page.py` brings the page up to date.
"""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path

from watcher.runs.conditions import KINDS
from watcher.runs.layout import load_layouts
from watcher.runs.layout_keys import KEYS

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "layouts.md"

BEGIN = """# Layouts

A layout says how the folders of one instrument or converter look: how they are recognised, what completes by itself,
what proves that it is complete, which files are taken and which samples they hold. Layouts are TOML files; those below
come with the program (`watcher/runs/layouts/`). With `layout: auto` a run is recognised by what lies in its folder.

A folder of your own (`layouts_dir`) may add some, or change one of ours by extending it under its own name:

```toml
# bclconvert.toml
extends = "bclconvert"
settle = "1h"
```

A mistake in a layout is told with file, line and key before anything starts. `galaxy-watcher plan PATH` shows what a
layout makes of a folder, and which of its conditions hold.
"""

GLOBS = """Globs are relative to the unit; `../` climbs and a leading `/` is the run folder. `*` and `?` stay within a
name, `**/` is any number of folders, `{a,b}` are alternatives, `[0-9]` a set. `ci = true` lets the case of letters be.
What cannot be read or parsed does not hold; `if_present` makes a condition about a file that is not there hold. Where
`file` lists several, all that are there are asked, with `first = true` the first of them that is there.
"""


def page() -> str:
    """Return the whole page."""
    lines = [BEGIN, "## What comes with the program", ""]
    for name, layout in sorted(load_layouts().items(), key=lambda one: one[1].title.casefold()):
        if not layout.abstract:
            lines += [f"### {layout.title}", "", f"`{name}`. {proof(name)}", ""]
    lines += ["## Keys", ""]
    for table, keys in KEYS.items():
        lines += [f"### `[{table}]`" if table else "### At the top", "", "| Key | |", "|---|---|"]
        lines += [f"| `{key}` | {what} |" for key, what in keys.items()]
        lines.append("")
    lines += ["## Conditions", "", GLOBS, "| Condition | Arguments | Holds when |", "|---|---|---|"]
    for kind, grammar in KINDS.items():
        needed = ", ".join(f"`{name}`" for name in grammar.needed if name != "asked")
        allowed = ", ".join(f"`{name}`" for name in grammar.allowed)
        arguments = f"{needed} ({allowed})" if needed and allowed else needed
        lines.append(f"| `{kind}` | {arguments} | {grammar.holds} |")
    return "\n".join(lines) + "\n"


def proof(name: str) -> str:
    """Return what the head of a layout's file says of the proof of completion."""
    text = (TOP / "watcher" / "runs" / "layouts" / f"{name}.toml").read_text()
    head = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.lstrip("# ") for line in head)


def test_the_page_says_what_the_layouts_say() -> None:
    """Every layout with what proves its completion, every key and every condition."""
    if os.environ.get("WATCHER_WRITE_LAYOUTS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run WATCHER_WRITE_LAYOUTS=1 pytest tests/runs/test_layouts_page.py"


def test_every_layout_says_first_what_proves_completion() -> None:
    """No layout without its reason, for whoever reads the file."""
    assert [name for name in load_layouts() if len(proof(name)) < 60] == []
