"""The layers of the program: doors, service, stages, rooms, words. Imports point right only.

Read `docs/architecture.md` for the picture. These tests read the import statements, wherever they stand in a file: an
import inside a function, or for types only, couples as well.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, python_files

WORDS = {"model", "results", "rows", "errors", "clock"}
ROOMS = {"config", "disk", "runs", "galaxy", "store", "delivery"}
DOORS = {"cli", "web"}
RANK = {"words": 0, "rooms": 1, "stages": 2, "service": 3, "doors": 4}
SHARED_BY_STAGES = {
    "rounds": "one request for the counts of many invocations, for poll.py",
    "chain": "which workflow of a batch may start, and which cannot: invoke.py, poll.py and deliver.py go by it",
    "inputs": "what goes into one invocation, made for it alone, for invoke.py; attempts.py finds it again by that",
    "into_library": "how results get into a library, for deliver.py",
    "by_galaxy": "what Galaxy itself writes to a place, for deliver.py",
    "archives": "archives that Galaxy makes, for deliver.py",
    "cloud_send": "results that Galaxy sends to a bucket, for deliver.py",
    "ways_out": "what Galaxy offers of places that it alone can bring something to, for offered.py",
    "targets": "opens where a delivery goes, for deliver.py and the probes",
    "throttle": "how many workflows run on a server at a time, for invoke.py",
    "attempts": "second tries of a workflow, for poll.py",
    "causes": "why jobs did not end well, and what the watcher can do about it, for poll.py",
    "reviews": "steps that wait for a person, for poll.py and the `release` command",
    "records": "what is kept of an invocation, for poll.py",
    "bring_home": "how results come to a folder or a store, for deliver.py and the probes",
    "beside": "what lies beside the results of a delivery, for deliver.py",
    "leaving": "what may leave the host beside the data, for provenance.py",
    "provenance": "what is told of a batch beside its results, for deliver.py",
    "endings": "how an invocation ended, from what Galaxy says: poll.py asks, and acts on it",
    "effects": "intent, act, receipt: what every outside effect has in common",
    "rooms": "what every stage is handed: the rooms, transfer slots, poll rounds",
    "slots": "how many files move at once, and whose turn it is",
    "pace": "how fast and when a watch may be sent: what transfers keep to",
    "choose": "which rule takes which sample: cut.py cuts by it, the `explain` command shows it",
    "cut": "how samples become batches, for the plan stage and for the `plan` command",
    "looking": "one way to look at a run folder, for the stages before the plan and for the `plan` command",
    "history": "the batch's own history: upload.py makes it once, revisions.py takes it over",
    "library": "a batch's places in libraries: upload.py makes that of its data once, into_library.py that of results",
    "items": "how datasets come into that place, once; upload.py says which, and when",
    "imports": "what Galaxy's import folders are asked for with one request, for items.py",
    "item_checks": "whether they are good there, and their copies in the history, for upload.py",
    "item_versions": "what an earlier plan or version put there, for upload.py",
    "dataset_checks": "whether the datasets in a history are what was sent, for upload.py; how a bad one starts afresh",
    "transfer": "how one file travels; upload.py says which files, and when they count",
    "readback": "how a dataset is read back; dataset_checks.py and item_checks.py say which, and what becomes of one",
    "shares": "who else may read a batch: upload.py opens it once all of it is checked",
    "offered": "names held against what Galaxy offers, for the plan stage and for the `check` command",
    "allowed": "libraries and ways in, for offered.py: what the account may there",
    "clashes": "what a result is called whose name another file has, for deliver.py",
    "troubles": "what keeps single deliveries from being made, for deliver.py",
    "unknown": "how a name that Galaxy does not offer is told, for offered.py and allowed.py",
    "references": "data of before that a rule names: workflow_fit.py holds them against inputs",
    "selected": "what deliveries select of the results, for workflow_fit.py",
    "workflow_fit": "do a plan's workflows fit: plan.py, upload.py before the first byte, invoke.py before each start",
    "space": "is there room in Galaxy: plan.py asks before the first byte, a probe while a unit waits",
    "revisions": "what a new plan takes over from the one it replaces",
    "same_run": "a run that was renamed or moved: detect.py and verify.py both meet it",
    "copies": "the same run in a second place: detect.py, settle.py and verify.py all meet it",
    "unchanged": "which folders need no look, for detect.py, which is about what a look finds",
    "removal": "how a run folder goes when its date has come: finish.py asks, plan.py and the commands change the date",
    "removable": "whether it may go, for removal.py; plan.py remembers what lies in it",
    "closing": "what becomes of histories, and the receipt, for finish.py",
    "afterwards": "what comes after the plan: detect.py sees it, plan.py remembers, finish.py asks",
}

FENCES = {
    "httpx": (
        {"galaxy", "sandbox", "service", "delivery"},
        "HTTP is spoken in galaxy/ only; service/ sends notices, sandbox/ waits for its Galaxy, delivery/ asks S3 for"
        " what obstore cannot",
    ),
    "sqlalchemy": ({"store"}, "rows are read and written in store/ only"),
    "alembic": ({"store"}, "the schema changes in store/ only"),
    "aiosqlite": ({"store"}, "rows are read and written in store/ only"),
    "psycopg": ({"store"}, "rows are read and written in store/ only"),
    "watchdog": ({"disk"}, "only disk/ touches watched file systems"),
    "isal": ({"runs"}, "only runs/ reads what a sequencer wrote"),
    "obstore": ({"delivery"}, "only delivery/ knows object stores"),
    "apscheduler": ({"service"}, "timers belong to the daemon"),
    "typer": ({"cli"}, "the terminal is a door; nothing behind it may know it"),
    "rich": ({"cli"}, "the terminal is a door; nothing behind it may know it"),
    "starlette": ({"web"}, "the page is a door; nothing behind it may know it"),
    "uvicorn": ({"web"}, "the page is a door; nothing behind it may know it"),
    "jinja2": ({"web"}, "the page is a door; nothing behind it may know it"),
    "bioblend": (set(), "BioBlend is the tests' independent witness; the program speaks to Galaxy itself"),
}
PURE = {"asyncio", "socket", "httpx", "subprocess", "threading", "os", "shutil", "tempfile"}
FLOW_WORDS = {"Unit", "Batch", "Rule", "Plan", "Watch"}


def layer_of(room: str) -> str:
    """Name the layer of a module directly below `watcher`."""
    if room in WORDS:
        return "words"
    if room in ROOMS:
        return "rooms"
    return "doors" if room in DOORS else room


def imports(tree: ast.Module, module: str) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of all that a module imports; relative imports are resolved."""
    package = module.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: -node.level] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{start}.{alias.name}", node.lineno) for alias in node.names)


def wrong_between_stages(mine: str, other: str) -> str:
    """Say why one module of stages/ may not import another, or nothing."""
    if other in SHARED_BY_STAGES:
        return ""
    if mine in SHARED_BY_STAGES:
        return f"stages/{mine}.py is shared by the stages and imports none of them"
    return f"stages never import each other; what they share stands in {', '.join(sorted(SHARED_BY_STAGES))}"


def wrong_inside(here: list[str], there: list[str]) -> str:
    """Say why `watcher.<here>` may not import `watcher.<there>`, or nothing; both are path parts below `watcher`."""
    mine, other = here[0], there[0]
    if other == "__version__" or mine == "__main__":
        return ""
    if mine == other:
        return wrong_between_stages(here[1], there[1]) if mine == "stages" else ""
    if other == "sandbox":
        return "" if mine == "cli" else "the sandbox is for the demo command and the tests; only cli/ may import it"
    if mine == "sandbox":
        return "" if other in WORDS else "the sandbox stands outside the program and knows its words only"
    left, right = layer_of(mine), layer_of(other)
    if left not in RANK or right not in RANK:
        return f"`{mine if left not in RANK else other}` has no place among doors, service, stages, rooms and words"
    if left == right:
        if left == "words" or (mine, other) == ("cli", "web"):
            return ""  # `serve` opens the page in the daemon's own loop
        return f"{left} never import each other; service/build.py brings them together"
    return "" if RANK[left] > RANK[right] else f"imports point right only: {left} may not know {right}"


def wrong_imports(root: Path = ROOT) -> list[str]:
    """List every import that breaks a layer, each with its place and the reason."""
    wrong = []
    for source in python_files("watcher", root=root):
        module = source.name.removesuffix(".py").replace("/", ".")
        here = module.split(".")[1:]
        if here == ["__init__"]:
            continue
        for name, line in imports(source.tree, module):
            top, *there = name.split(".")
            why = ""
            if top == "watcher" and there:
                there = [*there, ""]
                why = wrong_inside(here, there)
                if not why and here[0] == "galaxy" and there[0] in WORDS and FLOW_WORDS.intersection(there):
                    why = "galaxy/ knows no unit, batch, rule or plan"
            elif top in FENCES and here[0] not in FENCES[top][0]:
                why = FENCES[top][1]
            elif here[0] == "runs" and top in PURE:
                why = "runs/ is pure: listings and bytes in, facts out"
            if why:
                wrong.append(f"{source.name}:{line} imports {name}: {why}")
    return wrong


def test_imports_point_right_only() -> None:
    """Every import of the program keeps to the layers."""
    assert not (wrong := wrong_imports()), "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("place", "line", "reason"),
    [
        ("disk/scan.py", "from watcher.galaxy.http import Http", "rooms never import each other"),
        ("disk/scan.py", "from ..galaxy import http", "rooms never import each other"),
        ("galaxy/tus.py", "from watcher.stages import upload", "rooms may not know stages"),
        ("galaxy/tus.py", "from watcher.rows import Batch", "knows no unit, batch"),
        ("galaxy/tus.py", "import sqlalchemy as sa", "store/ only"),
        ("store/store.py", "def late():\n    import httpx", "galaxy/ only"),
        ("stages/poll.py", "from watcher.stages.upload import advance", "stages never import each other"),
        ("stages/effects.py", "from watcher.stages.upload import advance", "imports none of them"),
        ("stages/poll.py", "from watcher.service import engine", "stages may not know service"),
        ("service/engine.py", "from watcher.cli import output", "service may not know doors"),
        ("web/app.py", "from watcher.cli import output", "doors never import each other"),
        ("sandbox/galaxy.py", "from watcher.galaxy import client", "knows its words only"),
        ("service/daemon.py", "import watcher.sandbox.galaxy", "only cli/ may import it"),
        ("runs/layout.py", "import asyncio", "runs/ is pure"),
        ("model.py", "from watcher.config import settings", "words may not know rooms"),
        ("misc/things.py", "from watcher.model import Unit", "has no place"),
    ],
)
def test_a_broken_layer_is_found(tmp_path: Path, place: str, line: str, reason: str) -> None:
    """Each way of breaking a layer is reported once, with its place and reason."""
    path = tmp_path / "watcher" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    (wrong,) = wrong_imports(tmp_path)
    assert wrong.startswith(f"watcher/{place}:")
    assert reason in wrong


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("stages/upload.py", "from watcher.stages.effects import act"),
        ("stages/upload.py", "from watcher.galaxy.client import Galaxy"),
        ("service/build.py", "from watcher.stages import upload"),
        ("cli/serve.py", "from watcher.web.app import make_app"),
        ("cli/demo.py", "from watcher.sandbox import galaxy"),
        ("galaxy/http.py", "from watcher.errors import GalaxyAway\nimport httpx"),
        ("__main__.py", "from watcher.cli.main import main"),
        ("rows.py", "from watcher.model import Plan"),
    ],
)
def test_a_good_import_passes(tmp_path: Path, place: str, line: str) -> None:
    """What the picture allows is not reported."""
    path = tmp_path / "watcher" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    assert wrong_imports(tmp_path) == []


def test_the_architecture_page_names_only_what_exists() -> None:
    """Every file and folder that the page names is there."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:watcher|tests|docs|benchmarks|\.ci)/[\w./-]*)`", text))
    assert named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
