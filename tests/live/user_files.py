"""A file source that users can make their own of, for places like `gxuserfiles://UUID/folder`, on a real Galaxy."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

_TEMPLATE = "shelf"


def file_settings(folder: Path) -> dict[str, str]:
    """Return what a real Galaxy is told to offer a folder for each user; writes the template there."""
    folder.mkdir(parents=True, exist_ok=True)
    shelves = folder.resolve() / "shelves"
    shelves.mkdir(exist_ok=True)
    template = {
        "id": _TEMPLATE,
        "version": 0,
        "name": "A shelf of one's own",
        "description": "A folder of this machine.",
        "variables": {},
        "secrets": {},
        "configuration": {"type": "posix", "root": f"{shelves}/{{{{ user.username }}}}", "writable": True},
    }
    path = folder / "file_source_templates.yml"
    path.write_text(json.dumps([template]))  # JSON is YAML
    return {"file_source_templates_config_file": str(path)}


def make_own_source(url: str, key: str) -> str:
    """Make a file source of a user's own, as on a page of Galaxy's; return its root."""
    wish = {"name": "mine", "description": "", "template_id": _TEMPLATE, "template_version": 0}
    wish |= {"variables": {}, "secrets": {}}
    answer = httpx.post(f"{url}/api/file_source_instances", headers={"x-api-key": key}, json=wish, timeout=60)
    root: str = answer.raise_for_status().json()["uri_root"]
    return root
