"""Puts tables with the same heading below each other, the heading once.

Runs as a tool inside the sandbox's Galaxy, with its Python and nothing of ours: TARGET TABLE ...
"""

import sys
from pathlib import Path

target, *sources = sys.argv[1:]
headings: set[str] = set()
with Path(target).open("w") as out:
    for source in sources:
        with Path(source).open() as table:
            heading = table.readline()
            if not headings:
                out.write(heading)
            headings.add(heading)
            out.writelines(table)
if len(headings) > 1:
    sys.exit("The tables have different headings.")
