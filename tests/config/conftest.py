"""A configuration that is fine, to be written with something wrong in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
galaxy:
  url: https://galaxy.example.org
  api_key_file: KEY
state: {path: /var/lib/galaxy-watcher/state.sqlite}
watches:
  - name: miseq
    path: /data/miseq
    settle: 5m
  - name: nova
    path: /data/nova
    layout: bclconvert
rules:
  - name: amplicon
    match: {watch: miseq, project: "16S*"}
    per: project
    destination:
      history: "{run} {project}"
    workflow: {name: Amplicon QC, inputs: {Reads: reads}}
    deliver:
      - folder: /results/{run}/{project}
  - name: rest
"""
"""Line numbers in the tests count from here; KEY becomes a key file of mode 600."""

KEY = "0123456789abcdef0123456789abcdef"

WriteConfig = Callable[[str], Path]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Return a key file as it should be."""
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def write(tmp_path: Path, key_file: Path) -> WriteConfig:
    """Return what writes a configuration file and gives its path."""

    def write_config(text: str) -> Path:
        file = tmp_path / "config.yaml"
        file.write_text(text.replace("KEY", str(key_file)))
        return file

    return write_config
