"""The sandbox's Galaxy itself: it boots, works, survives a kill with what it holds, and leaves no process behind."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.live.real_galaxy import say
from watcher.sandbox.install import VERSION, install, installation
from watcher.sandbox.server import SandboxGalaxy
from watcher.sandbox.settings import temporary_folder


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_survives_a_kill_and_ends_without_a_trace(tmp_path: Path) -> None:
    """It is the pinned version with its web page and takes uploads, also in a folder with a long path; after a kill it
    still knows users and histories.
    """
    install(installation(), say)
    folder = tmp_path / ("a-folder-with-a-long-name-" * 4) / "galaxy"
    sandbox = SandboxGalaxy(folder, installation(), say)
    try:
        sandbox.up()
        user = sandbox.make_user("somebody")
        with httpx.Client(base_url=sandbox.url, headers={"x-api-key": user.key}, timeout=60) as client:
            version = client.get("/api/version").json()
            assert f"{version['version_major']}.{version['version_minor']}" == VERSION
            # Without this client: the page sets a cookie that would win over the key.
            assert httpx.get(sandbox.url, timeout=60).is_success
            assert client.get("/api/users/current").json()["email"] == user.email
            assert client.post("/api/histories", json={"name": "kept"}).is_success
        sandbox.kill()
        with pytest.raises(httpx.ConnectError):
            httpx.get(sandbox.url)
        sandbox.up()
        with httpx.Client(base_url=sandbox.url, headers={"x-api-key": user.key}, timeout=60) as client:
            assert [history["name"] for history in client.get("/api/histories").json()] == ["kept"]
    finally:
        pids = sandbox.keeper_pids
        sandbox.down()
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert folder.stat().st_mode & 0o077 == 0


def test_what_is_passing_has_a_short_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Galaxy's sockets are made in its own folder, or for this user alone elsewhere when its path is too long."""
    assert temporary_folder(Path("/tmp/demo")) == Path("/tmp/demo/tmp")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere = temporary_folder(Path("/home/somebody") / ("long" * 20))
    assert elsewhere.parent == tmp_path
    assert elsewhere.stat().st_mode & 0o077 == 0
