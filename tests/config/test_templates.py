"""Templates: which are refused was tested with the problems; here what they become."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watcher.config import render, render_folder
from watcher.config.destinations import (
    DEFAULT_HISTORY,
    TEMPLATE_FIELDS,
    fixed_folder,
    misfit_of_place,
    safe_component,
    sheet_columns,
)

VALUES = {
    "run": "240612_M00123_0042_000000000-ABCDE",
    "unit": "Analysis/2",
    "project": "16S soil",
    "sample": "S1",
    "watch": "miseq",
    "date": "2024-06-12",
    "id": "k7m2x9-1",
    "version": "1",
}

NAMES = [
    ("{run} {project}", {}, "240612_M00123_0042_000000000-ABCDE 16S soil"),
    ("{run} {unit} {project}", {}, "240612_M00123_0042_000000000-ABCDE Analysis/2 16S soil"),
    ("{run} {unit} {project}", {"unit": "."}, "240612_M00123_0042_000000000-ABCDE 16S soil"),
    ("{run}  {unit}", {"unit": ""}, "240612_M00123_0042_000000000-ABCDE"),
    ("{project}", {"project": ""}, "no_project"),
    ("{{x}} {id} v{version}", {}, "{x} k7m2x9-1 v1"),
    ("{sample}", {"sample": "a\nb\x07c\udc80"}, "a_b_c_"),
    ("{sample}", {"sample": "{run}"}, "{run}"),
    ("{sheet.Galaxy History}", {"sheet.Galaxy History": "soil\n {x}"}, "soil_ {x}"),
]


@pytest.mark.parametrize(("template", "values", "name"), NAMES)
def test_names(template: str, values: dict[str, str], name: str) -> None:
    """A name is readable: single blanks, nothing invisible, no left-over of a unit that is the whole run."""
    assert render(template, VALUES | values) == name


FOLDERS = [
    ("/results/{run}/{unit}/{project}", {"run": "R"}, "/results/R/Analysis_2/16S soil"),
    ("/results/{run}/{unit}/{project}", {"run": "R", "unit": "."}, "/results/R/16S soil"),
    ("/results/{project}", {"project": ""}, "/results/no_project"),
    ("/results/{project}", {"project": "../../etc"}, "/results/___.._etc"),
    ("/results/{project}/x", {"project": ".."}, "/results/__/x"),
    ("/results/{project}", {"project": "/etc/passwd"}, "/results/_etc_passwd"),
    ("/results/{project}", {"project": ".hidden"}, "/results/_hidden"),
    ("/results/.{unit}./{run}", {"unit": ".", "run": "R"}, "/results/__/R"),
    ("/results/{unit}./{run}", {"unit": ".", "run": "R"}, "/results/_/R"),
    ("/results/{project}", {"project": "a\\b\0c\nd"}, "/results/a_b_c_d"),
    ("//results//{project}/", {"project": "p"}, "/results/p"),
    ("/results/{sheet.PI}/{run}", {"sheet.PI": "../../etc", "run": "R"}, "/results/___.._etc/R"),
    ("/results/{sheet.PI}/{run}", {"sheet.PI": "..", "run": "R"}, "/results/__/R"),
]


@pytest.mark.parametrize(("template", "values", "folder"), FOLDERS)
def test_folders(template: str, values: dict[str, str], folder: str) -> None:
    """A value becomes one path component, whatever it holds."""
    assert render_folder(template, VALUES | values) == Path(folder)


@given(st.dictionaries(st.sampled_from(sorted(TEMPLATE_FIELDS)), st.text(max_size=300)))
@example({"run": "..", "unit": ".", "project": "/"})
def test_no_value_leaves_the_fixed_folder(values: dict[str, str]) -> None:
    """Whatever the run holds, the folder lies below the fixed one and has names every file system takes."""
    template = "/srv/results/{run}/{unit}/x.{project}/.{sample}."
    folder = render_folder(template, VALUES | values)
    assert fixed_folder(template) == Path("/srv/results")
    assert folder.is_relative_to("/srv/results")
    below = folder.relative_to("/srv/results").parts
    assert 3 <= len(below) <= 4
    for part in below:
        assert part not in (".", "..")
        assert part.isprintable()
        assert 0 < len(part.encode()) <= 255


@given(st.text(min_size=256, max_size=600), st.text(min_size=256, max_size=600))
def test_long_values_stay_apart(one: str, other: str) -> None:
    """Shortening to what a file system takes does not make two places one."""
    first, second = (render_folder("/r/{run}", VALUES | {"run": value}) for value in (one, other))
    assert (first == second) == (safe_component(one.strip()) == safe_component(other.strip()))


PLACES = [
    ("{run}", "run", ""),
    ("{id}", "sample", ""),
    ("{run}", "project", "coarser"),
    ("{run} {project}", "sample", "coarser"),
    ("{run} {sample}", "sample", ""),
    ("{run} {project} {sample}", "sample", ""),
    ("{run} {project}", "run", "no single value"),
    ("{run} {project} {sample}", "project", "no single value"),
    ("{watch} {date}", "run", "same place for every run"),
    ("fixed", "project", "same place for every run"),
    ("{sheet.Galaxy_History}", "sample", ""),
    ("{sheet.PI}", "run", ""),
    ("{sheet.PI} {sample}", "project", "no single value"),
    *((history, per, "") for per, history in DEFAULT_HISTORY.items()),
]


@pytest.mark.parametrize(("template", "per", "message"), PLACES)
def test_a_place_tells_batches_apart(template: str, per: str, message: str) -> None:
    """A place names the run and what the rule cuts by, and nothing a batch has several of."""
    misfit = misfit_of_place(template, per)  # type: ignore[arg-type]
    assert (misfit is None) == (not message)
    assert misfit is None or message in misfit[0]


def test_columns_of_templates_are_named_once() -> None:
    """As they are spelled, in the order in which they come; doubled braces name nothing."""
    assert sheet_columns("{run} {sheet.PI}", "{sheet.pi}{sheet.PI} {{sheet.x}}") == ("PI", "pi")
