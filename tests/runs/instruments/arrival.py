"""A watched folder while something is being written into it: what a look finds, again and again, until all is there.

`Arrival` plays the writer and takes note of the looks, `Story` is what comes of it. The kinds of trouble that writers
make are in `trouble.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from tests.runs.run_folders import START, Stamp, Tree

LONG_AGO_NS = int(START.timestamp() - 400 * 86400) * 10**9
SOON_S = 5.0


@dataclass(frozen=True)
class State:
    """One look: the folder as it is then, `after_s` seconds after the look before.

    `is_whole` = every file is there with its own bytes, and nobody writes any more. `damaged` are files under their
    final names whose bytes are not their own (yet); where nothing else is missing, only reading them can tell.
    """

    what: str
    after_s: float
    tree: Tree
    is_whole: bool = False
    damaged: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Story:
    """The looks at one folder, in their order."""

    name: str
    states: tuple[State, ...]

    def looks(self) -> Iterator[tuple[State, Mapping[str, float]]]:
        """Yield each state with the seconds for which each file has been seen unchanged, as a watch would count them.

        Unchanged = same size and same time of modification; what is seen for the first time counts from then on.
        """
        seen: dict[str, tuple[int, int]] = {}
        quiet: dict[str, float] = {}
        for state in self.states:
            now = {facts.path: (facts.size, facts.mtime_ns) for facts in state.tree.listing().files()}
            quiet = {
                path: quiet[path] + state.after_s if seen.get(path) == facts else 0.0 for path, facts in now.items()
            }
            seen = now
            yield state, quiet


@dataclass(frozen=True)
class _Written:
    content: bytes
    mtime_ns: int
    ctime_ns: int
    size: int | None = None


class Arrival:
    """Writes into a folder with a clock of its own; `look` ends a step and waits.

    `whole` is what there will be in the end; a path put without content gets its own from there.
    """

    def __init__(self, whole: Tree, name: str = "") -> None:
        """Begin with an empty folder."""
        self._whole = whole
        self._name = name or whole.name
        self._now_s = 0.0
        self._files: dict[str, _Written] = {}
        self._states: list[State] = []

    def put(
        self,
        path: str,
        content: bytes | None = None,
        *,
        size: int | None = None,
        mtime_ns: int | None = None,
        target: str = "",
    ) -> Arrival:
        """Write a file, or go on writing it; `target` is whose content it gets under another name.

        `mtime_ns` is the time the writer gives it, without it that of now.
        """
        self._now_s += 0.001
        now_ns = self._now_ns()
        own = self._whole.files[target or path] if content is None else content
        self._files.pop(path, None)
        self._files[path] = _Written(own, now_ns if mtime_ns is None else mtime_ns, now_ns, size)
        return self

    def move(self, old: str, new: str) -> Arrival:
        """Rename a file: its time of modification stays, the rename itself is of now."""
        self._now_s += 0.001
        written = self._files.pop(old)
        self._files[new] = _Written(written.content, written.mtime_ns, self._now_ns(), written.size)
        return self

    def drop(self, path: str) -> Arrival:
        """Delete a file."""
        del self._files[path]
        return self

    def rename_folder(self, name: str) -> Arrival:
        """Rename the run folder itself."""
        self._name = name
        return self

    def look(self, what: str, after_s: float, *, is_whole: bool = False, damaged: Iterable[str] = ()) -> Arrival:
        """Wait, then have the folder looked at; who waits for long looks soon as well, or no quiet would be seen."""
        if after_s > SOON_S:
            self._look(f"{what}, just now", SOON_S, is_whole, damaged)
            after_s -= SOON_S
        return self._look(what, after_s, is_whole, damaged)

    def _look(self, what: str, after_s: float, is_whole: bool, damaged: Iterable[str]) -> Arrival:
        self._now_s += after_s
        tree = Tree(
            self._name,
            {path: one.content for path, one in self._files.items()},
            stamps={path: Stamp(one.mtime_ns, one.ctime_ns, one.size) for path, one in self._files.items()},
            taken_at=START + timedelta(seconds=self._now_s),
        )
        self._states.append(State(what, after_s, tree, is_whole, frozenset(damaged)))
        return self

    def story(self, name: str) -> Story:
        """Return what was seen."""
        return Story(name, tuple(self._states))

    def _now_ns(self) -> int:
        return int((START.timestamp() + self._now_s) * 10**9)
