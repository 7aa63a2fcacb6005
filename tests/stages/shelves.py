"""A world whose runs go into a library, and what a test sees of that library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.galaxy.inspection import sha256_of
from tests.world import World

Json = dict[str, Any]
LIBRARY = "Sequencing"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world whose account may make libraries."""
    with World(tmp_path, admin=True) as made:
        yield made


def into_library(
    world: World, transfer: str = "tus", *, rule: Json | None = None, limits: Json | None = None, **more: Any
) -> None:
    """Write a configuration whose only rule puts runs into the library; `more` changes the watch."""
    shown = {"here": str(world.folder), "there": str(world.folder)}
    imports = world.fake.import_folder
    own = imports.with_name("userimport") / world.fake.user.email
    own.mkdir(parents=True, exist_ok=True)
    world.write_config(
        galaxy={"paths": [shown], "import_dir": str(imports), "user_import_dir": str(own)},
        watch={"transfer": transfer, **more},
        limits=limits or {},
        rule={"destination": {"library": {"name": LIBRARY}}, "workflow": None, "deliver": None, **(rule or {})},
    )


def items(world: World, *, deleted: bool = False) -> dict[str, Json]:
    """Return the files of all libraries by their way; AssertionError when one way stands for two."""
    shelf = world.fake.state.shelf
    found: dict[str, Json] = {}
    for row in shelf.items.values():
        if row.deleted and not deleted:
            continue
        folders = shelf.way_to(shelf.folders[row.folder])
        way = "/".join([*(folder.name for folder in folders), row.name])
        assert way not in found, f"{way} is there twice"
        found[way] = {
            "state": row.file.state, "ext": row.file.ext, "size": row.file.size, "path": row.file.path,
            "sha256": sha256_of(row.file.path), "tags": row.tags, "message": row.message, "private": row.file.private,
            "access": row.file.access, "rights": row.rights,
        }  # fmt: skip
    return found


def libraries(world: World) -> list[str]:
    """Return the names of all libraries that are not deleted."""
    return [row.name for row in world.fake.state.shelf.libraries.values() if not row.deleted]


def folders(world: World) -> list[str]:
    """Return the ways of all folders but the roots, each as often as it is there."""
    shelf = world.fake.state.shelf
    return sorted(
        "/".join(folder.name for folder in shelf.way_to(row))
        for row in shelf.folders.values()
        if row.parent is not None
    )


def ways(run: Path) -> dict[str, Path]:
    """Return where each FASTQ of a run has to be in the library, and where it lies."""
    return {f"{LIBRARY}/{run.name}/{path.name}": path for path in sorted(run.rglob("*.fastq.gz"))}


RAW_LAYOUT = """\
extends = "base"
title = "Raw data"
id = ["name"]
[run]
has_any = ["*.raw"]
[complete]
all = [{ quiet = "0s" }]
[files]
include = ["*.raw"]
"""
"""Files of an extension that says nothing of their content."""

RAW_EXT = {"*.raw": "thermo.raw"}
"""What a rule has to call them: files that it reads by itself Galaxy does not take as `data`."""


def write_raw_layout(folder: Path) -> Path:
    """Write the layout `raw` into a folder of layouts, and return it."""
    layouts = folder / "layouts"
    layouts.mkdir()
    (layouts / "raw.toml").write_text(RAW_LAYOUT)
    return layouts


def write_raw_run(folder: Path, files: int, size: int) -> dict[str, str]:
    """Write files that hold nothing and take no room; return where each lies by its way in the library."""
    folder.mkdir()
    for number in range(files):
        with (folder / f"S{number:04d}.raw").open("wb") as file:
            file.truncate(size)
    return {f"{folder.name}/{path.name}": str(path) for path in folder.iterdir()}


DEEP_LAYOUT = """\
extends = "base"
title = "Raw data in folders"
id = ["name"]
[run]
has_any = ["**/*.raw"]
[complete]
all = [{ quiet = "0s" }]
[files]
include = ["**/*.raw"]
[sample]
project = "folder"
"""
"""The same at any depth; each folder is a project, so that its files may be called like those of another."""


def write_deep_layout(folder: Path) -> Path:
    """Write the layout `deep` into a folder of layouts, and return it."""
    layouts = folder / "layouts"
    layouts.mkdir()
    (layouts / "deep.toml").write_text(DEEP_LAYOUT)
    return layouts


def write_deep_run(run: Path, files: Iterable[str]) -> Path:
    """Write a run of files in folders, each of other bytes."""
    for number, name in enumerate(files):
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"raw" * (number + 1))
    return run
