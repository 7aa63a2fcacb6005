"""What is wrong with a configuration is said all at once, each with its place and what to do."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.config.conftest import GOOD, WriteConfig
from watcher.config import load_config
from watcher.errors import ConfigError, ConfigProblem

LAYOUTS = ("bclconvert", "files", "miseq-msr")


class Bad(NamedTuple):
    """One change to the good file, and the one problem it makes."""

    name: str
    old: str
    new: str
    line: int
    key: str
    message: str
    hint: str = ""


GALAXY = "galaxy:\n  url: https://galaxy.example.org\n  api_key_file: KEY\n"
TWO = "galaxies:\n  main: {url: https://a.example.org, api_key_file: KEY}\n"
TWO += "  test: {url: https://b.example.org, api_key_file: KEY}\n"
NAMED = GOOD.replace(GALAXY, TWO).replace("    per: project\n", "    per: project\n    galaxy: main\n")

TABLE = [
    Bad("unknown-key", "    settle: 5m", "    setle: 5m", 8, "watches[0].setle", "not a key", "Did you mean settle?"),
    Bad("unknown-key-at-top", "state: ", "stat: ", 4, "stat", "not a key", "Did you mean state?"),
    Bad(
        "unknown-key-nothing-near",
        "    settle: 5m",
        "    zzz: 1",
        8,
        "watches[0].zzz",
        "not a key",
        "Known here: name, path",
    ),
    Bad(
        "duplicate-key",
        "    per: project",
        "    per: project\n    per: run",
        16,
        "rules[0].per",
        "written twice; first in line 15",
    ),
    Bad("empty-sheet-match", 'project: "16S*"', "sheet: {PI: []}", 14, "rules[0].match.sheet.PI", "at least one entry"),
    Bad("no-sheet-pattern", 'project: "16S*"', "sheet: {PI: ''}", 14, "rules[0].match.sheet.PI", "is empty"),
    Bad("sheet-is-no-table", 'project: "16S*"', "sheet: PI", 14, "rules[0].match.sheet", "keys and values"),
    Bad(
        "sheet-without-column",
        "{run} {project}",
        "{run} {sheet.}",
        17,
        "rules[0].destination.history",
        "unknown field: {sheet.}",
    ),
    Bad(
        "element-without-sense",
        "    workflow:",
        '      element: "{run} {sheet.PI}"\n    workflow:',
        18,
        "rules[0].destination.element",
        "unknown field: {run}",
        "Fields are {sample}, {project}, {sheet.COLUMN}.",
    ),
    Bad("duplicate-watch", "name: nova", "name: miseq", 9, "watches[1].name", "name of watches[0] as well"),
    Bad("duplicate-rule", "name: rest", "name: amplicon", 21, "rules[1].name", "name of rules[0] as well"),
    Bad(
        "watch-inside-a-watch",
        "/data/nova",
        "/data/miseq/old/nova",
        10,
        "watches[1].path",
        "lies inside the watch miseq (/data/miseq)",
        "beside each other",
    ),
    Bad("same-folder-twice", "/data/nova", "/data//miseq/", 10, "watches[1].path", "watched by watches[0] as well"),
    Bad(
        "unknown-layout",
        "layout: bclconvert",
        "layout: bclconvrt",
        11,
        "watches[1].layout",
        "no layout",
        "mean bclconvert?",
    ),
    Bad(
        "unknown-layout-in-match",
        "watch: miseq,",
        "layout: auto,",
        14,
        "rules[0].match.layout",
        "no layout",
        "Known: bcl",
    ),
    Bad(
        "unknown-watch-in-match",
        "watch: miseq,",
        "watch: misek,",
        14,
        "rules[0].match.watch",
        "no watch",
        "mean miseq?",
    ),
    Bad("relative-watch", "/data/miseq", "data/miseq", 7, "watches[0].path", "absolute path", "Perhaps /"),
    Bad("home-watch", "/data/miseq", "~/miseq", 7, "watches[0].path", "absolute path"),
    Bad("path-goes-up", "/data/miseq", "/data/../miseq", 7, "watches[0].path", "must not go up"),
    Bad("path-is-number", "/data/miseq", "17", 7, "watches[0].path", "must be a path"),
    Bad("missing-path", "    path: /data/miseq\n", "", 6, "watches[0].path", "is missing", "It tells: the folder"),
    Bad("bad-name", "name: nova", 'name: "no va"', 9, "watches[1].name", "not a name", "letters, digits"),
    Bad("duration-word", "settle: 5m", "settle: soon", 8, "watches[0].settle", "not a duration", '"5m"'),
    Bad("duration-negative", "settle: 5m", "settle: -5", 8, "watches[0].settle", "before zero"),
    Bad("duration-endless", "settle: 5m", "settle: 9999d", 8, "watches[0].settle", "ten years"),
    Bad("duration-truth", "settle: 5m", "settle: true", 8, "watches[0].settle", "not a duration"),
    Bad("never-rescan", "state:", "rescan: 0s\nstate:", 4, "rescan", "too short"),
    Bad(
        "count-is-text", "state:", "limits: {transfers: many}\nstate:", 4, "limits.transfers", "whole number, not text"
    ),
    Bad(
        "count-is-truth", "state:", "limits: {transfers: true}\nstate:", 4, "limits.transfers", "whole number, not true"
    ),
    Bad(
        "count-is-zero", "state:", "limits: {transfers: 0}\nstate:", 4, "limits.transfers", "greater than or equal to 1"
    ),
    Bad("size", "state:", "limits: {chunk_bytes: 10 Mbit}\nstate:", 4, "limits.chunk_bytes", "not a size", "10MiB"),
    Bad(
        "text-is-number",
        "name: Amplicon QC",
        "name: 17",
        18,
        "rules[0].workflow.name",
        "must be text, not a number",
        "quotes",
    ),
    Bad(
        "text-is-braces",
        '"{run} {project}"',
        "{run}",
        17,
        "rules[0].destination.history",
        "not keys and values",
        "quotes",
    ),
    Bad(
        "list-is-text",
        "    deliver:\n      - folder: /results/{run}/{project}",
        "    deliver: x",
        19,
        "rules[0].deliver",
        "hold keys and values, not text",
        "Known here: folder",
    ),
    Bad(
        "section-is-text",
        "state: {path: /var/lib/galaxy-watcher/state.sqlite}",
        "state: here",
        4,
        "state",
        "hold keys and values, not text",
        "Known here: path, url",
    ),
    Bad(
        "choice",
        "per: project",
        "per: projekt",
        15,
        "rules[0].per",
        "must be run, project or sample, not projekt",
        "mean project?",
    ),
    Bad("transfer-not-there", "    settle: 5m", "    transfer: ftp", 8, "watches[0].transfer", "not ftp"),
    Bad(
        "adopt-not-there",
        "    settle: 5m",
        "    existing: adopt",
        8,
        "watches[0].existing",
        "must be ignore or process, not adopt",
    ),
    Bad(
        "finish-not-there",
        "    per: project",
        "    per: project\n    finish: {source: purge}",
        16,
        "rules[0].finish.source",
        "must be keep, archive or delete, not purge",
    ),
    Bad(
        "library-is-no-section",
        '      history: "{run} {project}"',
        "      library: x",
        17,
        "rules[0].destination.library",
        "must hold keys and values",
        "name, folder",
    ),
    Bad("no-url", "  url: https://galaxy.example.org\n", "", 1, "galaxy.url", "is missing"),
    Bad(
        "url-without-scheme",
        "url: https://galaxy.example.org",
        "url: galaxy.example.org",
        2,
        "galaxy.url",
        "not a web address",
        "mean https://galaxy.example.org?",
    ),
    Bad("url-of-the-api", "galaxy.example.org", "galaxy.example.org/api/", 2, "galaxy.url", "without /api"),
    Bad("url-port", "galaxy.example.org", "galaxy.example.org:70000", 2, "galaxy.url", "not a web address"),
    Bad("url-brackets", "//galaxy.example.org", "//[galaxy", 2, "galaxy.url", "not a web address"),
    Bad("empty-rescan", "state:", "rescan:\nstate:", 4, "rescan", "is empty", "remove the line"),
    Bad("unknown-null-key", "state:", "scan:\nstate:", 4, "scan", "not a key"),
    Bad("list-is-number", "    per: project", "    per: project\n    tags: 5", 16, "rules[0].tags", "must be a list"),
    Bad("empty-value", "    path: /data/miseq", "    path:", 7, "watches[0].path", "is empty"),
    Bad(
        "no-such-galaxy",
        "    per: project",
        "    per: project\n    galaxy: main",
        16,
        "rules[0].galaxy",
        "no Galaxy",
        "Known: galaxy.",
    ),
    Bad(
        "state-twice", "state: {", 'state: {url: "postgresql+psycopg://db/x", ', 4, "state.url", "and path are both set"
    ),
    Bad(
        "state-url",
        "{path: /var/lib/galaxy-watcher/state.sqlite}",
        "{url: mysql://db}",
        4,
        "state.url",
        "not the address of a PostgreSQL",
    ),
    Bad(
        "state-url-sqlite",
        "{path: /var/lib/galaxy-watcher/state.sqlite}",
        "{url: sqlite:///x}",
        4,
        "state.url",
        "only for PostgreSQL",
        "path",
    ),
    Bad(
        "history-unknown-field",
        '{run} {project}"',
        '{run} {projekt}"',
        17,
        "rules[0].destination.history",
        "unknown field: {projekt}",
        "Did you mean {project}?",
    ),
    Bad(
        "history-brace",
        '{run} {project}"',
        '{run} {project"',
        17,
        "rules[0].destination.history",
        "brace without its counterpart",
    ),
    Bad(
        "history-format", '{run} {project}"', '{run!r} {project}"', 17, "rules[0].destination.history", "with a format"
    ),
    Bad(
        "history-attribute",
        '{run} {project}"',
        '{run.x} {project}"',
        17,
        "rules[0].destination.history",
        "unknown field",
    ),
    Bad(
        "history-coarser",
        '{run} {project}"',
        '{run}"',
        17,
        "rules[0].destination.history",
        "coarser than the rule",
        "Add {project}",
    ),
    Bad(
        "history-finer",
        '{run} {project}"',
        '{run} {project} {sample}"',
        17,
        "rules[0].destination.history",
        "no single value",
        "per: sample",
    ),
    Bad(
        "history-every-run",
        '{run} {project}"',
        '{project}"',
        17,
        "rules[0].destination.history",
        "same place for every run",
        "{run}",
    ),
    Bad(
        "folder-coarser",
        "/results/{run}/{project}",
        "/results/{run}",
        20,
        "rules[0].deliver[0].folder",
        "coarser than the rule",
    ),
    Bad("folder-relative", "/results/", "results/", 20, "rules[0].deliver[0].folder", "absolute path"),
    Bad("folder-up", "/results/", "/results/../", 20, "rules[0].deliver[0].folder", "must not go up"),
    Bad("folder-begins-with-field", "/results/", "/", 20, "rules[0].deliver[0].folder", "begin with a fixed folder"),
    Bad(
        "folder-in-watch", "/results/", "/data/nova/results/", 20, "rules[0].deliver[0].folder", "inside the watch nova"
    ),
    Bad(
        "folder-twice",
        "/{run}/{project}\n",
        "/{run}/{project}\n      - folder: /results/{run}/{project}/\n",
        21,
        "rules[0].deliver[1].folder",
        "folder of deliver[0]",
    ),
    Bad(
        "collection-name-finer",
        '"{run} {project}"',
        '"{run} {project}"\n      collection_name: "{sample}"',
        18,
        "rules[0].destination.collection_name",
        "no single value",
    ),
    Bad(
        "tag-finer",
        "    per: project",
        '    per: project\n    tags: [a, "{sample}"]',
        16,
        "rules[0].tags[1]",
        "no single value",
    ),
    Bad(
        "tag-of-ours",
        "    per: project",
        '    per: project\n    tags: ["watcher:x"]',
        16,
        "rules[0].tags[0]",
        "tag of our own",
    ),
    Bad(
        "workflow-twice",
        "{name: Amplicon QC,",
        "{name: Amplicon QC, id: abc,",
        18,
        "rules[0].workflow",
        "told by id and name",
    ),
    Bad("workflow-none", "{name: Amplicon QC, ", "{", 18, "rules[0].workflow", "does not say which workflow"),
    Bad(
        "workflow-text",
        "{name: Amplicon QC, inputs: {Reads: reads}}",
        "Amplicon QC",
        18,
        "rules[0].workflow",
        "hold keys and values",
    ),
    Bad(
        "workflow-file-relative",
        "{name: Amplicon QC,",
        "{file: qc.ga,",
        18,
        "rules[0].workflow.file",
        "absolute path",
        "/qc.ga?",
    ),
    Bad(
        "workflow-key-twice",
        "{name: Amplicon QC, inputs: {Reads: reads}}",
        "[{id: a, key: x}, {id: b, key: x}]",
        18,
        "rules[0].workflow[1].key",
        "key of workflow[0]",
    ),
    Bad(
        "outputs-empty",
        "/{run}/{project}\n",
        "/{run}/{project}\n        outputs: []\n",
        21,
        "rules[0].deliver[0].outputs",
        "at least one entry",
    ),
    Bad("contains-itself", "{Reads: reads}", "&a {Reads: *a}", 18, "rules[0].workflow.inputs.Reads", "contains itself"),
    Bad("tag-of-yaml", "{Reads: reads}", "!!python/object:os.system {}", 18, "rules[0].workflow.inputs", "has a tag"),
    Bad("list-as-key", "{Reads: reads}", "{[a, b]: reads}", 18, "rules[0].workflow.inputs", "a list or a mapping"),
    Bad(
        "lone-half-of-a-character", "name: Amplicon QC", r'name: "\ud800"', 18, "rules[0].workflow.name", "no character"
    ),
    Bad("line-break-in-path", "/data/miseq", r'"/data/a\nb"', 7, "watches[0].path", "line break"),
]


def problems_of(file: Path, env: dict[str, str] | None = None) -> tuple[ConfigProblem, ...]:
    """Return what is wrong with a file."""
    with pytest.raises(ConfigError) as refused:
        load_config(file, env or {}, layouts=LAYOUTS)
    assert refused.value.exit_code == 3
    return refused.value.problems


@pytest.mark.parametrize("bad", TABLE, ids=[bad.name for bad in TABLE])
def test_one_wrong_thing_is_one_problem(write: WriteConfig, bad: Bad) -> None:
    """Each mistake is told once, with file, line, key, what is wrong and what would be right."""
    assert_told_once(write, bad)


def assert_told_once(write: WriteConfig, bad: Bad) -> None:
    """Check that a mistake is told where it stands, and nothing else."""
    assert bad.old in GOOD
    file = write(GOOD.replace(bad.old, bad.new, 1))
    problems = problems_of(file)
    found = [problem for problem in problems if problem.key == bad.key]
    assert [(problem.file, problem.line) for problem in found] == [(str(file), bad.line)], problems
    assert bad.message in found[0].message
    assert bad.hint in found[0].hint
    assert len(problems) == 1, problems


def test_a_watch_may_lie_inside_one_that_never_looks_into_folders(write: WriteConfig) -> None:
    """A flat inbox takes single files only, so that run folders in it are another watch's."""
    inside = GOOD.replace("/data/nova", "/data/miseq/nova").replace(
        "    settle: 5m", "    settle: 5m\n    layout: files"
    )
    settings = load_config(write(inside), {}, layouts=LAYOUTS)
    assert [str(watch.path) for watch in settings.watches] == ["/data/miseq", "/data/miseq/nova"]
