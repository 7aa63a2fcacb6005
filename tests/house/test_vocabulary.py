"""One word for one thing: our identifiers keep to `docs/glossary.md`.

The words that the glossary's last column sets as code are wrong everywhere in our names. In `galaxy/` and `runs/`,
where other people's names are translated, and in their tests and fakes, only the naming rules hold.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.tree import ROOT, Source, defined_names, python_files

TRANSLATORS = ("watcher/galaxy/", "watcher/runs/", "tests/galaxy/", "tests/runs/", "tests/fakes/")
EMPTY_ENDINGS = ("Manager", "Handler", "Helper", "Processor", "Service")
EMPTY_NAMES = {"data", "info", "obj", "handle"}
EMPTY_PREFIXES = ("do_", "perform_", "process_")
DICTATED = {"process_bind_param", "process_result_value"}  # SQLAlchemy calls a column type's methods by these names
NAMING_CALLS = {"Column", "Table", "Option", "Argument", "command", "Counter", "Gauge", "Histogram"}


def banned_words() -> set[str]:
    """Read the words set as code in the last column of the glossary's table."""
    rows = re.findall(r"^\|.*\|([^|]*)\|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    return {word for cell in rows for word in re.findall(r"`(\w+)`", cell)}


def pattern_of(words: set[str]) -> re.Pattern[str]:
    """Match any of the words, with its usual endings, as whole parts of a snake_case name."""
    forms = []
    for word in sorted(words):
        forms.append(rf"{word}(?:s|es|d|ed|ing)?")
        if word[-1] in "ey":
            forms.append(rf"{word[:-1]}(?:ing|ies|ied)")
    return re.compile(rf"(?:^|_)({'|'.join(forms)})(?=_|$)")


def as_snake(name: str) -> str:
    """Write a name as lower-case words joined by underscores."""
    return "_".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)).lower()


def spoken_names(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Yield the names that people meet as text: options, columns, tables, commands, metrics."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if called in NAMING_CALLS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, node.lineno, called
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"--[a-z-]+", node.value):
            yield node.value, node.lineno, "option"


def wrong_name(name: str, kind: str, banned: re.Pattern[str] | None) -> str:
    """Say what is wrong with one name, or nothing."""
    if banned and (found := banned.search(as_snake(name))):
        return f"`{found[1]}` is not our word for it (docs/glossary.md)"
    if name in EMPTY_NAMES:
        return "says nothing about what it is"
    if kind == "function" and name not in DICTATED and name.lstrip("_").startswith(EMPTY_PREFIXES):
        return "a function is a verb that says what it does"
    if kind == "class" and name.endswith(EMPTY_ENDINGS):
        return "a class is named for what it is"
    return ""


def wrong_names(source: Source) -> list[str]:
    """List the names of a file that break the glossary or the naming rules."""
    banned = None if source.name.startswith(TRANSLATORS) else pattern_of(banned_words())
    names = {*defined_names(source.tree), *spoken_names(source.tree), (source.path.stem, 1, "module")}
    return [
        f"{source.name}:{line} {kind} {name}: {why}"
        for name, line, kind in sorted(names, key=lambda each: each[1])
        if (why := wrong_name(name, kind, banned))
    ]


def test_our_names_are_in_our_words() -> None:
    """No identifier, option, column or metric of ours uses a word that the glossary gives to something else."""
    wrong = [line for source in python_files("watcher", "tests", "benchmarks") for line in wrong_names(source)]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("class RunMonitor: ...", "`monitor`"),
        ("sampleSheet = samplesheet = 1", "`samplesheet`"),
        ("def f(retry_policies): ...", "`policies`"),
        ("def debouncing(): ...", "`debouncing`"),
        ("workflow_run_id = 1", "`workflow_run`"),
        ("self.tasks = []", "`tasks`"),
        ("import x as genome", "`genome`"),
        ("Column('filetype', Text)", "`filetype`"),
        ("Option('--checkpoint')", "`checkpoint`"),
        ("def do_upload(): ...", "a function is a verb"),
        ("class UploadManager: ...", "a class is named"),
        ("data = 1", "says nothing"),
    ],
)
def test_a_wrong_name_is_found(text: str, why: str) -> None:
    """Each kind of wrong name is reported with the reason."""
    source = Source(ROOT / "sample.py", "watcher/sample.py")
    vars(source)["text"] = text
    assert wrong_names(source)
    assert all(why in line for line in wrong_names(source))


@pytest.mark.parametrize(
    "text",
    [
        "manifest = layout = state_file = 1",
        "released = 1",
        "estimate = 1",
        "asyncio.create_task(run())",
        "class Ticket: ...",
    ],
)
def test_a_good_name_passes(text: str) -> None:
    """Words of ours, words that only contain a banned one, and foreign names in use are left alone."""
    source = Source(ROOT / "sample.py", "watcher/sample.py")
    vars(source)["text"] = text
    assert wrong_names(source) == []


def test_translators_may_use_foreign_words() -> None:
    """Where Galaxy's and the vendors' answers are read, their field names stand; empty names do not."""
    source = Source(ROOT / "answers.py", "watcher/galaxy/answers.py")
    vars(source)["text"] = "genome_build = 1\ninfo = 1"
    assert [line.split(": ")[0] for line in wrong_names(source)] == ["watcher/galaxy/answers.py:2 variable info"]


def test_the_glossary_is_read() -> None:
    """The table gives the words of every kind, and not those that the program does use."""
    words = banned_words()
    assert {"experiment", "samplesheet", "sentinel", "workflow_run", "tick", "lease", "phase", "publish"} <= words
    assert not words & {"manifest", "layout", "watch", "batch", "run", "lane", "stage", "status", "hold", "receipt"}
