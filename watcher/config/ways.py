"""The ways into Galaxy: which files it reaches by itself, and what a rule must say when their bytes are not sent.

Galaxy takes files by their path into data libraries only. Where it sees a file is told by prefixes (`server_path`), or
by the import folders it shares with this machine. Whether Galaxy allows it is not known here: `stages/allowed.py` asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from watcher.config.galaxies import GalaxySettings
from watcher.config.rules import RuleSettings
from watcher.config.values import KeyPath, Misfit
from watcher.config.watches import WatchSettings

BY_PATH = ("link", "copy")
"""Ways that name a file by its path on Galaxy's machine; the other two name it below an import folder."""

LINKS = ("link", "import_dir", "user_import_dir")
"""Ways after which Galaxy reads the files where they lie, for ever."""


def server_path(galaxy: GalaxySettings, transfer: str, file: Path) -> str | None:
    """Return what Galaxy calls a file when it is to fetch it this way; None when it does not see it."""
    if transfer in BY_PATH:
        pairs = sorted(galaxy.paths, key=lambda pair: len(pair.here.parts), reverse=True)
        pair = next((pair for pair in pairs if file.is_relative_to(pair.here)), None)
        return str(PurePosixPath(pair.there, file.relative_to(pair.here))) if pair else None
    folder = galaxy.import_dir if transfer == "import_dir" else galaxy.user_import_dir
    return str(file.relative_to(folder)) if folder is not None and file.is_relative_to(folder) else None


def path_misfits(galaxy: GalaxySettings) -> Iterator[Misfit]:
    """Find folders that are told twice."""
    first: dict[str, int] = {}
    for number, pair in enumerate(galaxy.paths):
        if (other := first.setdefault(str(pair.here), number)) != number:
            yield Misfit(("paths", number, "here"), f"is that of paths[{other}] as well.", "Keep one of them.")


def watch_misfits(watch: WatchSettings) -> Iterator[Misfit]:
    """Find what does not fit inside one watch."""
    if watch.transfer == "tus" and watch.content == "structure":
        yield Misfit(
            ("content",),
            "is for files that are not sent: tus reads every byte anyway.",
            "Remove it, or change transfer.",
        )


def way_misfits(
    watch: WatchSettings,
    number: int,
    rules: list[tuple[int, RuleSettings, GalaxySettings | None]],
    with_library: Collection[int],
) -> Iterator[Misfit]:
    """Find rules that cannot take what a watch registers by path, and Galaxies that do not see it; `rules` are all that
    may take runs of it, with the Galaxy each sends to, and `with_library` those that name a library.
    """
    if watch.transfer == "tus":
        return
    told: set[str] = set()
    for place, rule, galaxy in rules:
        if place not in with_library:
            yield Misfit(
                ("rules", place, "destination"),
                f"has no library, but the watch {watch.name} has transfer: {watch.transfer}, which Galaxy knows for"
                " libraries only.",
                "Add library: {name: …}, let the rule match other watches, or set transfer: tus.",
            )
        if watch.transfer in LINKS and rule.finish.source != "keep":
            yield Misfit(
                ("rules", place, "finish", "source"),
                f"is {rule.finish.source}, but of the watch {watch.name} Galaxy has no copy (transfer:"
                f" {watch.transfer}): the datasets would lose their files.",
                "Use source: keep, let the rule match other watches, or set transfer: tus or copy.",
            )
        if rule.lanes == "concat":
            yield Misfit(
                ("rules", place, "lanes"),
                f"joins files, but those of the watch {watch.name} stay where they are (transfer: {watch.transfer}).",
                "Use merge or keep, or transfer: tus.",
            )
        if galaxy is not None and galaxy.name not in told and server_path(galaxy, watch.transfer, watch.path) is None:
            told.add(galaxy.name)
            yield Misfit(_key(number), *_unseen(watch, galaxy))


def _key(number: int) -> KeyPath:
    return ("watches", number, "transfer")


def _unseen(watch: WatchSettings, galaxy: GalaxySettings) -> tuple[str, str]:
    if watch.transfer in BY_PATH:
        return (
            f"is {watch.transfer}, but no entry of paths says where Galaxy sees {watch.path}.",
            f"Add it to {galaxy.name}: paths: [{{here: {watch.path}, there: …}}]; `there` may be the same.",
        )
    folder = galaxy.import_dir if watch.transfer == "import_dir" else galaxy.user_import_dir
    if folder is None:
        return (
            f"is {watch.transfer}, but {galaxy.name} does not say which folder that is on this machine.",
            f"Add {watch.transfer}: /… to {galaxy.name}.",
        )
    return (
        f"is {watch.transfer}, but {watch.path} does not lie in it ({folder}).",
        "Watch a folder in it, or use another transfer.",
    )
