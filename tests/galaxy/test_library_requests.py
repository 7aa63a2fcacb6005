"""What exactly is asked of Galaxy about libraries where a detail decides: folder ids, paging, rights, lost roles."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.galaxy.conftest import ScriptedServer, reply
from watcher.errors import AnswerLost, GalaxyBroken, Refused
from watcher.galaxy import Galaxy
from watcher.galaxy.fetch import FetchElement
from watcher.model import FolderId, HistoryId, LibraryId, LibraryItemId

F = FolderId("F0123456789abcdef")
L = LibraryId("1123456789abcdef")
VERSION = {"version_major": "24.1", "version_minor": "4"}


def row(number: int) -> dict[str, Any]:
    """Return a file as a listing shows it."""
    return {"type": "file", "id": f"ld{number}", "ldda_id": f"ldda{number}", "name": f"f{number}", "message": None}


def page(total: int, *rows: dict[str, Any]) -> bytes:
    """Return a page of a listing."""
    return reply(200, {"metadata": {"total_rows": total}, "folder_contents": list(rows)})


async def test_folder_id_loses_its_letter_in_an_upload(galaxy: Galaxy, server: ScriptedServer) -> None:
    """An upload names the folder without the F, and sends no hash to a server that does not know hashes."""
    server.script = [reply(200, VERSION), reply(200, {"outputs": [], "jobs": [{"id": "j1"}]})]
    elements = [FetchElement("a", "txt", "s1", ("t",), "0" * 64)]
    assert await galaxy.libraries.register(HistoryId("h1"), F, elements) == "j1"
    asked = json.loads(server.requests[1].body)
    assert asked["history_id"] == "h1"
    assert asked["targets"][0]["destination"] == {"type": "library_folder", "library_folder_id": "0123456789abcdef"}
    assert "hashes" not in asked["targets"][0]["elements"][0]
    assert asked["files_0|file_data"] == {"session_id": "s1", "name": "a"}


async def test_upload_without_a_job_is_in_doubt(galaxy: Galaxy, server: ScriptedServer) -> None:
    """An answer that names no job tells nothing of what was done, and does not show the session."""
    server.script = [reply(200, VERSION), reply(200, {"outputs": [], "jobs": []})]
    with pytest.raises(AnswerLost) as lost:
        await galaxy.libraries.register(HistoryId("h1"), F, [FetchElement("a", "txt", "secret-session")])
    assert "secret-session" not in str(lost.value)


async def test_listing_goes_on_until_all_is_seen(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Pages are asked for until their offset passes the total, and what comes twice counts once."""
    server.script = [page(1001, row(1), row(2)), page(1001, row(2), row(3)), page(1001, row(4))]
    assert [item.id for item in await galaxy.libraries.items(F)] == ["ld1", "ld2", "ld3", "ld4"]
    queries = [parse_qs(urlsplit(request.target).query) for request in server.requests]
    assert [query["offset"] for query in queries] == [["0"], ["500"], ["1000"]]
    assert "search_text" not in queries[0]


async def test_name_is_searched_for_and_compared(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Galaxy searches for parts of names, so the whole name is compared by us."""
    server.script = [page(3, {**row(1), "name": "a.txt"}, {**row(2), "name": "aa.txt"}, {**row(3), "name": "A.txt"})]
    assert [item.id for item in await galaxy.libraries.items(F, name="a.txt")] == ["ld1"]
    assert parse_qs(urlsplit(server.requests[0].target).query)["search_text"] == ["a.txt"]


async def test_links_come_in_the_order_of_their_paths(galaxy: Galaxy, server: ScriptedServer) -> None:
    """One request names all paths, one a line, and its answer is taken in their order."""
    server.script = [reply(200, [{"id": "ld1", "name": "a"}, {"id": "ld2", "name": "b"}])]
    made = await galaxy.libraries.link_paths(L, F, ["/data/a", "/data/b"], ext="pod5", dbkey="hg38")
    assert made == ["ld1", "ld2"]
    assert json.loads(server.requests[0].body) == {
        "create_type": "file",
        "folder_id": F,
        "file_type": "pod5",
        "dbkey": "hg38",
        "link_data_only": "link_to_files",
        "upload_option": "upload_paths",
        "filesystem_paths": "/data/a\n/data/b",
    }


async def test_other_links_than_asked_for_are_in_doubt(galaxy: Galaxy, server: ScriptedServer) -> None:
    """An answer that names other files than were asked for is looked up rather than believed."""
    server.script = [reply(200, [{"id": "ld1", "name": "a"}])]
    with pytest.raises(AnswerLost, match="1 files of 2 paths"):
        await galaxy.libraries.link_paths(L, F, ["/data/a", "/data/b"], ext="txt")


async def test_role_left_out_without_a_word_is_told(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A role that Galaxy leaves out of its answer is an error, though the status is a success."""
    nobody: dict[str, list[list[str]]] = {
        "access_dataset_roles": [],
        "manage_dataset_roles": [["me", "r1"]],
        "modify_item_roles": [],
    }
    server.script = [reply(200, nobody), reply(200, nobody)]
    with pytest.raises(Refused, match="1 of 1 roles"):
        await galaxy.libraries.set_permissions("item", LibraryItemId("ld1"), access=["r2"])
    sent = json.loads(server.requests[1].body)
    assert sent == {"action": "set_permissions", "access_ids[]": ["r2"], "modify_ids[]": [], "manage_ids[]": ["r1"]}


async def test_listing_that_is_none_is_told(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A listing without its total is not taken for an empty folder."""
    server.script = [reply(200, {"folder_contents": []})]
    with pytest.raises(GalaxyBroken):
        await galaxy.libraries.items(F)
