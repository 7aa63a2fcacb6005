"""What is wrong with the deliveries of a rule, each told once with its place."""

from __future__ import annotations

import pytest

from tests.config.conftest import GOOD, WriteConfig
from tests.config.test_problems import Bad, assert_told_once, problems_of
from watcher.config import load_config
from watcher.config.destinations import check_url_template, fixed_store, fixed_url, render_url

FOLDER = "- folder: /results/{run}/{project}"
LINE = next(number for number, line in enumerate(GOOD.splitlines(), 1) if FOLDER in line)


def bad(name: str, more: str, key: str, *told: str) -> Bad:
    """Return a mistake in the first delivery, on the line after its folder."""
    at = (LINE + 1, f"rules[0].deliver[0].{key}") if key else (LINE, "rules[0].deliver[0]")
    return Bad(name, FOLDER, f"{FOLDER}\n        {more}", *at, *told)


def elsewhere(name: str, line: str, key: str, *told: str) -> Bad:
    """Return a mistake in what stands in the place of the folder."""
    return Bad(name, FOLDER, line, LINE, f"rules[0].deliver[0]{key}", *told)


TABLE = (
    elsewhere("url-of-no-store", "- url: https://x/{run}/{project}", ".url", "is no object store.", "s3://bucket"),
    elsewhere("url-without-a-bucket", "- url: s3:///{run}/{project}", ".url", "fixed bucket", "s3://bucket/{run}"),
    elsewhere("url-with-a-bucket-of-the-run", '- url: "s3://{run}/{project}"', ".url", "fixed bucket", "s3://bucket"),
    elsewhere("url-that-goes-up", "- url: s3://bb/../{run}/{project}", ".url", "must not go up", "Write the way"),
    elsewhere("url-for-every-run", "- url: s3://bb/{project}", ".url", "is the same place for every run.", "{run}"),
    elsewhere("no-place", "- on: ok", "", "needs one place: folder, url, library", "{folder: /results/{run}}"),
    bad("two-places", "url: s3://bb/{run}/{project}", "", "has both folder and url.", "several deliveries"),
    elsewhere(
        "mode-in-a-store",
        '- {url: "s3://bb/{run}/{project}", mode: "0640"}',
        "",
        "has mode, which an object",
        "Leave out",
    ),
    elsewhere(
        "mode-in-a-library",
        '- {library: {name: R}, mode: "0640"}',
        "",
        "has mode, which a library has not.",
        "Leave out mode.",
    ),
    elsewhere("beside-in-a-library", "- {library: {name: R}, beside: [report]}", "", "has beside, which a library"),
    elsewhere(
        "marker-in-a-library", "- {library: {name: R}, marker: READY}", "", "has marker, which a library", "Leave out"
    ),
    bad("folder-and-library", "library: {name: R}", "", "has both folder and library.", "several deliveries"),
    elsewhere(
        "library-for-every-run",
        '- {library: {name: R, folder: "{project}"}}',
        ".library",
        "is the same place for every run.",
        "{run}",
    ),
    elsewhere(
        "library-of-a-sample", '- {library: {name: "{sample}"}}', ".library.name", "{sample} has no single value", "per"
    ),
    elsewhere(
        "source-of-the-run", '- url: "gxfiles://{run}/{project}"', ".url", "fixed id of a file source", "results"
    ),
    elsewhere(
        "source-for-every-run", "- url: gxfiles://x/{project}", ".url", "is the same place for every run.", "{run}"
    ),
    elsewhere(
        "marker-at-a-place-of-galaxys",
        '- {url: "gxfiles://x/{run}/{project}", marker: READY}',
        "",
        "has marker, which a place of Galaxy's has not.",
        "Leave out marker.",
    ),
    elsewhere(
        "group-in-a-bucket-of-galaxys",
        "- {cloud: {authz_id: a, bucket: b}, group: lab}",
        "",
        "has group, which a place of Galaxy's has not.",
        "Leave out group.",
    ),
    elsewhere("cloud-without-a-bucket", "- {cloud: {authz_id: a}}", ".cloud.bucket", "is missing"),
    elsewhere(
        "archive-in-a-bucket-of-galaxys",
        "- {cloud: {authz_id: a, bucket: b}, export: history}",
        "",
        "sends an archive to a bucket of Galaxy's.",
        "Only results go there",
    ),
    bad("cloud-and-folder", "cloud: {authz_id: a, bucket: b}", "", "has both folder and cloud.", "several deliveries"),
    bad(
        "outputs-of-an-archive",
        'export: history\n        outputs: ["a"]',
        "",
        "has outputs, which an archive has not.",
        "Leave out",
    ),
    bad("format-of-results", "format: rocrate.zip", "", "has a format, but is no archive.", "export: history"),
    bad(
        "format-of-another",
        "export: history\n        format: bco.json",
        "",
        "has format bco.json",
        "tar.gz and rocrate",
    ),
    bad("export-of-nothing-known", "export: workflow", "export", "workflow"),
    bad("mode-that-is-a-number", "mode: 640", "mode", "is not a mode.", '"0640"'),
    bad("mode-in-words", 'mode: "u=rw"', "mode", "is not a mode.", "in quotes"),
    bad("mode-of-nine", 'folder_mode: "0999"', "folder_mode", "is not a mode.", "in quotes"),
    bad("name-of-an-unknown-field", 'names: "{elment}.{ext}"', "names.*", "unknown field: {elment}", "{element}"),
    bad("name-of-a-sample", 'names: "{sample}.{ext}"', "names.*", "{sample} has no single value", "Leave {sample}"),
    bad(
        "name-that-goes-up", 'names: {x: "../{output}"}', "names.x", "must not go up", "below the delivery's own place"
    ),
    bad("name-from-the-root", 'names: {x: "/{output}"}', "names.x", "begins with /.", "{element}/{output}.{ext}"),
    bad("name-of-a-folder", 'names: {x: "{output}/"}', "names.x", "ends with a folder.", "{element}/{output}.{ext}"),
    bad(
        "name-by-step", 'names: {"step:1/x": "{output}"}', "names.step:1/x", "is no pattern for names.", "ext:EXTENSION"
    ),
    bad("clash-that-overwrites", "on_clash: overwrite", "on_clash", "hold", ""),
    bad("marker-elsewhere", "marker: ../READY", "marker", "is no name for a marker.", "For example"),
    bad("marker-like-the-record", "marker: batch.json", "marker", "is no name for a marker.", "For example"),
    bad("beside-what", "beside: [log]", "beside[0]", "must be record, report or logs", "Did you mean logs?"),
    bad("marker-like-the-manifest", "marker: MANIFEST.sha256", "marker", "is no name for a marker.", "For example"),
)


@pytest.mark.parametrize("bad", TABLE, ids=[bad.name for bad in TABLE])
def test_one_wrong_thing_of_a_delivery_is_one_problem(write: WriteConfig, bad: Bad) -> None:
    """Each mistake is told once, with file, line, key, what is wrong and what would be right."""
    assert_told_once(write, bad)


def test_what_a_delivery_says_is_kept(write: WriteConfig) -> None:
    """Modes are kept as they are written; what is left out stays as the system makes it."""
    named = 'names: {counts: "{element}/{output}.{ext}", "*": "{run}_{name}.{ext}"}'
    more = (
        named,
        "on_clash: suffix",
        'mode: "0640"',
        "folder_mode: 02750",
        "group: lab",
        "marker: READY",
        "may_fail: true",
    )
    text = GOOD.replace(FOLDER, "\n        ".join((FOLDER, *more)))
    delivery = load_config(write(text), {}).rules[0].deliver[0]
    assert (delivery.mode, delivery.folder_mode, delivery.owner, delivery.group) == ("0640", "02750", None, "lab")
    assert (delivery.marker, delivery.may_fail, delivery.on_clash) == ("READY", True, "suffix")
    assert list(delivery.names) == ["counts", "*"]


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("s3://bucket/{run}/{unit}/{project}", "s3://bucket/240612_A/16S"),
        ("az://cc/{project}/../x".replace("..", "y"), "az://cc/16S/y/x"),
        ("gs://bb/{sheet.Place}", "gs://bb/__"),
        ("s3://bucket", "s3://bucket"),
    ],
)
def test_a_place_in_a_store(template: str, url: str) -> None:
    """No value goes up or leaves an empty part behind; the bucket is as it was written."""
    values = {"run": "240612_A", "unit": ".", "project": "16S", "sheet.Place": ".."}
    assert render_url(check_url_template(template), values) == url
    assert url.startswith(fixed_url(template))
    assert fixed_url(template).startswith(fixed_store(template))


def test_what_is_fixed_of_a_place() -> None:
    """All before the first field, by whole parts."""
    assert fixed_url("s3://bucket/lab/run-{run}/x") == "s3://bucket/lab"
    assert fixed_url("s3://bucket/{run}") == fixed_url("s3://bucket/") == "s3://bucket"


def test_the_folder_in_a_library_is_named_after_what_the_rule_cuts_by(write: WriteConfig) -> None:
    """Left out, it is as for data."""
    settings = load_config(write(GOOD.replace(FOLDER, "- library: {name: Results}", 1)))
    library = settings.rules[0].deliver[0].library
    assert library is not None
    assert library.folder == "{run}/{unit}/{project}"


@pytest.mark.parametrize(
    ("written", "key", "message"),
    [
        (
            ["- library: {name: Results, access: lab}", "- {library: {name: More, access: others}, outputs: [x]}"],
            "rules[0].deliver[1].library.access",
            "is not that of deliver[0]",
        ),
        (["- library: {name: Results, access: lab}"], "rules[0].deliver[0].library.access", "both say who reads"),
    ],
    ids=["two-libraries", "shared-history"],
)
def test_a_result_has_one_list_of_readers(write: WriteConfig, written: list[str], key: str, message: str) -> None:
    """Its item shares them with the result: what says otherwise cannot be had."""
    text = GOOD.replace(FOLDER, "\n      ".join(written), 1)
    if len(written) == 1:
        text = text.replace("    destination:\n", "    destination:\n      share: {roles: [lab]}\n", 1)
    (problem,) = problems_of(write(text))
    assert problem.key == key
    assert message in problem.message
