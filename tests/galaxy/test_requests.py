"""What exactly is asked of Galaxy where a detail decides: addresses, metadata, hashes by version, paging, pairing."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.galaxy.conftest import ScriptedServer, reply, user, version
from watcher.clock import ManualClock
from watcher.errors import AnswerLost, Forbidden, GalaxyBroken
from watcher.galaxy import Galaxy
from watcher.galaxy.answers import DatasetFacts
from watcher.galaxy.collections import Element
from watcher.galaxy.features import Features, parse_version
from watcher.galaxy.fetch import FetchElement
from watcher.galaxy.histories import clean_tag
from watcher.model import DatasetId, HistoryId, InvocationId, WorkflowId

H = HistoryId("h1")
VERSION = {"version_major": "26.1", "version_minor": "2"}


async def test_session_is_joined_to_our_own_address(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Only the last part of Location is used, since a proxy may have made the rest of it wrong."""
    server.script = [
        reply(201, location="https://inside:8080/api/upload/resumable_upload/s1?x=1"),
        reply(200, upload_offset="3"),
    ]
    session = await galaxy.tus.create(10, "ä b.fastq")
    assert session == "s1"
    assert await galaxy.tus.offset(session) == 3
    assert server.requests[1].target == "/galaxy/api/upload/resumable_upload/s1"
    assert server.requests[1].method == "HEAD"


async def test_session_names_file_and_type(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Both metadata keys are sent, without which no offset can be asked for."""
    server.script = [reply(201, location="/s1")]
    await galaxy.tus.create(10, "ä b.fastq")
    pairs = dict(pair.split(" ") for pair in server.requests[0].headers["upload-metadata"].split(","))
    assert set(pairs) == {"filename", "filetype"}
    assert base64.b64decode(pairs["filename"]).decode() == "ä b.fastq"
    assert server.requests[0].headers["upload-length"] == "10"
    assert server.requests[0].headers["tus-resumable"] == "1.0.0"


class HurryingClock(ManualClock):
    """A clock on which every sleep is over at once."""

    async def sleep(self, seconds: float) -> None:
        """Move on by that many seconds."""
        self.advance(seconds)


async def test_offset_settles_when_two_readings_agree(galaxy: Galaxy, server: ScriptedServer) -> None:
    """After a lost answer the offset counts once two readings some seconds apart agree."""
    clock = HurryingClock()
    server.script = [reply(200, upload_offset=offset) for offset in ("5", "8", "8")]
    assert await galaxy.tus.settled_offset("s1", clock) == 8
    assert len(server.requests) == 3
    assert clock.monotonic() >= 4


async def test_offset_settles_when_it_stood_still_for_so_long(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Whoever asks for a longer stillness gets the offset that did not move all that time."""
    clock = HurryingClock()
    server.script = [reply(200, upload_offset=offset) for offset in ("5", "5", "5", "8", *["8"] * 20)]
    assert await galaxy.tus.settled_offset("s1", clock, still_s=60) == 8
    assert len(server.requests) == 24
    assert clock.monotonic() == 69


async def test_offset_that_never_settles_is_told(galaxy: Galaxy, server: ScriptedServer) -> None:
    """An offset that moves at every reading means that somebody else sends."""
    server.script = [reply(200, upload_offset=str(offset)) for offset in range(100)]
    with pytest.raises(AnswerLost, match="nobody sends"):
        await galaxy.tus.settled_offset("s1", HurryingClock())


async def test_chunk_that_moves_the_offset_elsewhere_ends_the_session(galaxy: Galaxy, server: ScriptedServer) -> None:
    """An offset that is not where our bytes end means a second writer."""
    server.script = [version(), reply(204, upload_offset="20")]
    with pytest.raises(GalaxyBroken, match="20 bytes"):
        await galaxy.tus.send("s1", 0, b"0123456789")


@pytest.mark.parametrize(("version", "has_hash"), [("24.1", False), ("24.2", True), ("26.1", True)])
async def test_hash_is_given_where_it_is_verified(
    galaxy: Galaxy, server: ScriptedServer, version: str, has_hash: bool
) -> None:
    """The hash goes along from 24.2 on; one version earlier Galaxy refuses the whole request for it."""
    made = {"outputs": [{"id": "d1", "name": "a"}], "jobs": [{"id": "j1"}]}
    server.script = [reply(200, {"version_major": version, "version_minor": "4"}), reply(200, made)]
    element = FetchElement("a", "fastqsanger.gz", "s1", ("watcher:x-1:001",), "ab" * 32, 3)
    receipt = await galaxy.fetch.register(H, [element])
    assert (receipt.job_id, receipt.dataset_ids) == ("j1", ("d1",))
    sent = json.loads(server.requests[1].body)
    described = sent["targets"][0]["elements"][0]
    assert ("hashes" in described) is has_hash
    assert (described["ext"], described["auto_decompress"], described["to_posix_lines"], described["space_to_tab"]) == (
        "fastqsanger.gz",
        False,
        False,
        False,
    )
    assert sent["files_0|file_data"] == {"session_id": "s1", "name": "a"}
    assert "s1" not in repr(element)


async def test_datasets_that_do_not_match_are_looked_up(galaxy: Galaxy, server: ScriptedServer) -> None:
    """An answer that names other datasets than were asked for is in doubt, not taken."""
    server.script = [reply(200, VERSION), reply(200, {"outputs": [{"id": "d1", "name": "b"}], "jobs": [{"id": "j1"}]})]
    with pytest.raises(AnswerLost):
        await galaxy.fetch.register(H, [FetchElement("a", "txt", "s1")])


async def test_counts_are_paired_by_id(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Job counts are one request for a hundred invocations, and rows in any order find their invocation."""
    ids = [InvocationId(f"i{number}") for number in range(101)]
    rows = [
        {"id": id, "populated_state": "ok", "states": {"ok": n}, "model": "WorkflowInvocation"}
        for n, id in enumerate(ids)
    ]
    server.script = [reply(200, rows[99::-1]), reply(200, rows[100:])]
    counts = await galaxy.invocations.counts(H, ids)
    assert [counts[id].states["ok"] for id in ids] == list(range(101))
    query = parse_qs(urlsplit(server.requests[0].target).query)
    assert len(query["ids"][0].split(",")) == len(query["types"][0].split(",")) == 100
    assert len(server.requests) == 2


async def test_dataset_and_collection_of_the_same_id_are_two(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Galaxy counts them apart: what an invocation took is told by its kind as well."""
    given = [{"id": "i1", "workflow_id": "w", "inputs": {"0": {"src": src, "id": "x"}}} for src in ("hda", "hdca")]
    server.script = [reply(200, [{**row, "create_time": str(number)} for number, row in enumerate(given)])]
    found = await galaxy.invocations.of_history(H)
    assert [one.input_refs for one in found] == [{("hda", "x")}, {("hdca", "x")}]


async def test_nested_invocations_are_walked_to_the_bottom(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Subworkflows of subworkflows are found, each once."""
    below = {"i1": ["i2", "i3"], "i2": ["i4"], "i3": [], "i4": []}

    def detail(id: str) -> bytes:
        steps = [{"order_index": n, "subworkflow_invocation_id": inner} for n, inner in enumerate(below[id])]
        return reply(
            200, {"id": id, "workflow_id": "w", "history_id": "h1", "state": "scheduled", "steps": steps, "inputs": {}}
        )

    server.script = [detail(id) for id in ("i1", "i2", "i3", "i4")]
    assert await galaxy.invocations.nested(InvocationId("i1")) == ("i2", "i3", "i4")


async def test_lists_are_read_to_their_end(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A list longer than a page is read page by page."""
    rows = [{"id": f"h{n}", "name": "n", "tags": ["watcher:a"]} for n in range(130)]
    server.script = [reply(200, rows[:100]), reply(200, rows[100:])]
    assert len(await galaxy.histories.find("watcher:a")) == 130
    assert [parse_qs(urlsplit(r.target).query)["offset"] for r in server.requests] == [["0"], ["100"]]


async def test_collection_keeps_the_verified_datasets(galaxy: Galaxy, server: ScriptedServer) -> None:
    """A collection is built over the datasets themselves, nested as its type says."""
    server.script = [reply(200, {"id": "c1"}), reply(200, {})]
    pair = Element("S1", elements=(Element("forward", DatasetId("d1")), Element("reverse", DatasetId("d2"))))
    assert await galaxy.collections.build(H, "run", "list:paired", [pair], ["watcher:a"]) == "c1"
    sent = json.loads(server.requests[0].body)
    assert sent["copy_elements"] is False
    assert sent["element_identifiers"][0]["collection_type"] == "paired"
    assert [inner["id"] for inner in sent["element_identifiers"][0]["element_identifiers"]] == ["d1", "d2"]
    assert json.loads(server.requests[1].body) == {"tags": ["watcher:a"]}


async def test_what_is_made_and_not_marked_is_looked_for(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Whatever the second of two requests meets, the first one made something that has to be found."""
    refused = reply(400, {"err_msg": "no such tag", "err_code": 400008})
    server.script = [reply(200, {"id": "c1"}), refused, reply(200, {"id": "d2"}), refused]
    with pytest.raises(AnswerLost):
        await galaxy.collections.build(H, "run", "list", [Element("S1", DatasetId("d1"))], ["watcher:a"])
    with pytest.raises(AnswerLost):
        await galaxy.datasets.copy_within(H, DatasetId("d1"), "the copy", ["watcher:a"])
    assert [request.method for request in server.requests] == ["POST", "PUT", "POST", "PUT"]


async def test_private_default_needs_a_role_of_our_own(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Without a private role nothing can be made private, which is an error and not a silence."""
    field = {"name": "DATASET_ACCESS", "options": [["somebody@else.org", 4]], "value": []}
    server.script = [user(), reply(200, {"inputs": [field]})]
    with pytest.raises(Forbidden, match="private role"):
        await galaxy.users.make_new_datasets_private()
    assert len(server.requests) == 2
    server.script = [user(), reply(200, [{"id": "r7", "name": "whole lab", "type": "admin"}])]
    with pytest.raises(Forbidden, match="private role"):
        await galaxy.users.own_role()


async def test_only_our_own_role_closes_a_dataset(galaxy: Galaxy, server: ScriptedServer) -> None:
    """All access roles are needed to read, so ours among them closes it; a role of others alone, or none, does not."""
    roles = [
        {"id": "r1", "name": "robot@example.org", "type": "private"},
        {"id": "r7", "name": "robot@example.org", "type": "admin"},
    ]
    server.script = [user(email="robot@example.org"), reply(200, roles)]
    own = await galaxy.users.own_role()
    assert own == await galaxy.users.own_role() == "r1"
    for access, closed in (([], False), (["r7"], False), (["r1"], True), (["r7", "r1"], True), (None, False)):
        facts = DatasetFacts.model_validate({"id": "d", "file_size": 1, "permissions": {"access": access}})
        assert facts.is_closed_to_all_but(own) is closed


@pytest.mark.parametrize(
    ("text", "version"), [("26.1", (26, 1)), ("24.1.4", (24, 1)), ("25.1.dev0", (25, 1)), ("26.10", (26, 10))]
)
def test_version_is_read(text: str, version: tuple[int, int]) -> None:
    """A version is two numbers, whatever follows."""
    assert parse_version(text) == version


def test_version_that_is_none_is_told() -> None:
    """A text that is no version means that this is no Galaxy."""
    with pytest.raises(GalaxyBroken):
        parse_version("latest")


@pytest.mark.parametrize(
    ("version", "able"),
    [
        ((24, 1), {"sends_to_clouds"}),
        ((24, 2), {"fetch_hashes"}),
        ((25, 0), {"fetch_hashes", "server_sha256", "paired_or_unpaired", "shows_library_files"}),
        (
            (25, 1),
            {
                "fetch_hashes",
                "server_sha256",
                "paired_or_unpaired",
                "shows_library_files",
                "over_quota_pauses_upload",
            },
        ),
        (
            (26, 0),
            {
                "fetch_hashes",
                "server_sha256",
                "paired_or_unpaired",
                "shows_library_files",
                "over_quota_pauses_upload",
                "tus_checks_offset",
                "tus_keeps_connection",
                "completed_state",
                "outer_counts_include_nested",
            },
        ),
    ],
)
def test_features_begin_where_they_were_measured(version: tuple[int, int], able: set[str]) -> None:
    """Each version can what was measured on it, and nothing more."""
    features = Features(version)
    names = [name for name in dir(Features) if isinstance(getattr(Features, name), property) and name != "is_measured"]
    assert {name for name in names if getattr(features, name)} == able
    assert features.is_measured
    assert not Features((23, 2)).is_measured


@pytest.mark.parametrize(
    ("name", "value", "tag"),
    [("watcher", "k7m2x9-1", "watcher:k7m2x9-1"), ("run", "a b\tc", "run:a_b_c"), ("my.run", "A.1:2", "my_run:A.1:2")],
)
def test_tags_are_cleaned(name: str, value: str, tag: str) -> None:
    """A tag has no blanks, and its name neither dots nor colons."""
    assert clean_tag(name, value) == tag


def select(name: str, *values: str, **more: object) -> dict[str, object]:
    """Return a select as Galaxy describes a tool's parameter."""
    options = [[f"The {value}", value, False] for value in values]
    return {"name": name, "type": "select", "multiple": False, "is_dynamic": False, "options": options, **more}


async def test_options_of_a_tool_are_read_where_they_are_fixed(galaxy: Galaxy, server: ScriptedServer) -> None:
    """Of a fixed list all options are known, by value and label, in every case of a conditional; of others none."""
    step = {"id": 0, "type": "tool", "tool_id": "trim", "tool_state": "{}"}
    cases = [{"inputs": [select("ends", "5")]}, {"inputs": [select("ends", "3", multiple=True)]}]
    mixed = [{"inputs": [select("by", "a")]}, {"inputs": [{"name": "by", "type": "integer"}]}]
    inputs = [
        {"name": "how", "type": "conditional", "test_param": select("mode", "fast", "exact"), "cases": cases},
        {"name": "cut", "type": "conditional", "test_param": select("where", "a"), "cases": mixed},
        select("genome", "hg38", is_dynamic=True),
        {"name": "reads", "type": "data", "multiple": True, "options": {"hda": [], "hdca": []}},
    ]
    server.script = [
        reply(200, {"id": "w1", "name": "QC"}),
        reply(200, {"steps": {"0": step}}),
        reply(200, {"inputs": inputs}),
    ]
    (found,) = (await galaxy.workflows.read(WorkflowId("w1"))).steps
    assert found.options == {
        "how|mode": {"The fast": "fast", "fast": "fast", "The exact": "exact", "exact": "exact"},
        "how|ends": {"The 5": "5", "5": "5", "The 3": "3", "3": "3"},
        "cut|where": {"The a": "a", "a": "a"},
    }
    assert found.multiple == {"how|ends", "reads"}
    assert (found.types["genome"], found.types["cut|by"]) == ("select", "")
