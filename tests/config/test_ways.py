"""Ways in that send no byte: what a watch, its rules and its Galaxy must say, and what Galaxy calls a file."""

from pathlib import Path

import pytest

from tests.config.conftest import WriteConfig
from watcher.config import load_config
from watcher.config.galaxies import GalaxySettings
from watcher.config.ways import server_path
from watcher.errors import ConfigError

LINKED = """\
galaxy:
  url: https://galaxy.example.org
  api_key_file: KEY
  paths:
    - {here: /data, there: /mnt/seq}
    - {here: /data/miseq, there: /srv/miseq}
state: {path: /var/lib/galaxy-watcher/state.sqlite}
watches:
  - {name: miseq, path: /data/miseq, transfer: link, content: structure}
  - {name: nova, path: /data/nova}
rules:
  - name: linked
    match: {watch: mi*}
    destination: {library: {name: Runs, folder: "{run}/{unit}", access: [Genomics, anna@example.org]}}
  - name: rest
    match: {watch: nova}
"""

MISFITS = [
    ("    destination: {library", "    tags: [x] # {library", "rules[0].destination", "has no library"),
    ("watch: nova", 'watch: "*"', "rules[1].destination", "has no library, but the watch miseq"),
    ("match: {watch: mi*}", "lanes: concat", "rules[0].lanes", "joins files"),
    (
        "    - {here: /data, there: /mnt/seq}\n    - {here: /data/miseq,",
        "    - {here: /data/nova,",
        "watches[0].transfer",
        "no entry of paths says where Galaxy sees /data/miseq",
    ),
    ("here: /data/miseq", "here: /data", "galaxy.paths[1].here", "is that of paths[0] as well"),
    ("transfer: link", "transfer: import_dir", "watches[0].transfer", "does not say which folder that is"),
    (
        "  paths:",
        "  user_import_dir: /import\n  paths:",
        "watches[0].transfer",
        "does not lie in it (/import)",
    ),
]


OF_LIBRARIES = [
    ("{name: Runs, folder", "{folder", "rules[0].destination.library.name", "is missing"),
    ('{run}/{unit}"', '{unit}"', "rules[0].destination.library.folder", "is the same place for every run"),
    ("name: Runs", 'name: "{sample}"', "rules[0].destination.library.name", "no single value"),
    ("{run}/{unit}", "{run}/../{unit}", "rules[0].destination.library.folder", "must not go up"),
    ("match: {watch: mi*}", "per: project", "rules[0].destination.library.folder", "coarser than the rule"),
    ("transfer: link", "transfer: tus", "watches[0].content", "tus reads every byte"),
]
MISFITS += OF_LIBRARIES


@pytest.mark.parametrize(
    ("old", "new", "key", "message"), MISFITS, ids=[key + message[:12] for *_, key, message in MISFITS]
)
def test_what_does_not_fit_is_told(write: WriteConfig, old: str, new: str, key: str, message: str) -> None:
    """Each misfit is one problem, at the value that is to be changed."""
    text = LINKED.replace(old, new, 1)
    assert text != LINKED
    if "user_import_dir" in new:
        text = text.replace("transfer: link", "transfer: user_import_dir")
    with pytest.raises(ConfigError) as refused:
        load_config(write(text))
    assert [(one.key, message in one.message) for one in refused.value.problems] == [(key, True)], refused.value
    assert refused.value.problems[0].line and refused.value.problems[0].hint


def test_a_linked_watch_is_fine(write: WriteConfig) -> None:
    """With a mapped path and a library for all that may come from it, it loads; one name may stand without a list."""
    settings = load_config(write(LINKED))
    library = settings.rules[0].destination.library
    assert library is not None and library.access == ("Genomics", "anna@example.org")
    assert not library.keep_folders
    text = LINKED.replace("[Genomics, anna@example.org]", "Genomics").replace(', folder: "{run}/{unit}"', "")
    library = load_config(write(text.replace("match: {watch: mi*}", "per: sample"))).rules[0].destination.library
    assert library is not None and (library.access, library.folder) == (("Genomics",), "{run}/{unit}/{sample}")
    kept = load_config(write(LINKED.replace("{name: Runs,", "{name: Runs, keep_folders: true,")))
    library = kept.rules[0].destination.library
    assert library is not None and library.keep_folders


PATHS = [
    ("link", "/data/nova/r/a.bam", "/mnt/seq/nova/r/a.bam"),
    ("copy", "/data/miseq/r/a.bam", "/srv/miseq/r/a.bam"),
    ("link", "/data/miseq2/a.bam", "/mnt/seq/miseq2/a.bam"),
    ("link", "/elsewhere/a.bam", None),
    ("import_dir", "/import/r/a.bam", "r/a.bam"),
    ("import_dir", "/data/a.bam", None),
    ("user_import_dir", "/users/me@x.org/a.bam", "a.bam"),
]


@pytest.mark.parametrize(("transfer", "file", "known_as"), PATHS)
def test_what_galaxy_calls_a_file(transfer: str, file: str, known_as: str | None) -> None:
    """The longest prefix counts, whatever the order; below an import folder it is the rest of the path."""
    pairs = [{"here": "/data", "there": "/mnt/seq"}, {"here": "/data/miseq", "there": "/srv/miseq"}]
    folders = {"import_dir": "/import", "user_import_dir": "/users/me@x.org"}
    for paths in (pairs, pairs[::-1]):
        galaxy = GalaxySettings.model_validate({"url": "https://g.example.org", "paths": paths, **folders})
        assert server_path(galaxy, transfer, Path(file)) == known_as
