"""Files that cannot be read as a configuration at all, many problems at once, and problems of the environment."""

from pathlib import Path

import pytest

from tests.config.conftest import GOOD, KEY, WriteConfig
from watcher.config import load_config
from watcher.errors import ConfigError

SECRET = "s3cr3t-" + KEY

SYNTAX = {
    "empty": ("", 0, "is empty", "config example"),
    "only-comments": ("# nothing\n\n", 0, "is empty", "config example"),
    "list-at-top": ("# a list\n- a\n- b\n", 2, "must hold keys and values, not a list", ""),
    "text-at-top": ("hello\n", 1, "must hold keys and values, not text", ""),
    "tab": ("galaxy:\n\turl: x\n", 2, "is indented with a tab", "blanks"),
    "unclosed": ("galaxy: {url: x\nstate: 1\n", 2, "expected ',' or '}'", ""),
    "bad-indent": ("galaxy:\n  url: x\n access: y\n", 3, "expected <block end>", ""),
    "colon-in-value": ("galaxy: url: x\n", 1, "mapping values are not allowed here", "quoted"),
    "star-unquoted": ("a:\n  project: *\n", 2, "unquoted * or &", '"*"'),
    "two-documents": ("a: 1\n---\nb: 2\n", 2, "second document", ""),
    "control-character": ("a: 1\nb: x\x01y\n", 2, "does not allow (U+0001)", ""),
    "too-deep": ("a: " + "[" * 3000 + "]" * 3000, 0, "nested too deeply", ""),
    "too-large": ("a: " + "x" * (1024 * 1024), 0, "larger than 1 MiB", ""),
    "aliases-multiply": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{k}: &{k} [{','.join(['*' + j] * 10)}]\n" for j, k in ("ab", "bc", "cd", "de", "ef")),
        1,
        "too many values",
        "",
    ),
}


@pytest.mark.parametrize("case", SYNTAX.values(), ids=SYNTAX.keys())
def test_what_is_no_configuration(write: WriteConfig, case: tuple[str, int, str, str]) -> None:
    """A file that cannot be understood is told with its line; nothing of its content is repeated."""
    text, line, message, hint = case
    file = write(text)
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})
    [problem] = refused.value.problems
    assert (problem.file, problem.line) == (str(file), line)
    assert message in problem.message
    assert hint in problem.hint


def test_syntax_is_told_with_its_column(write: WriteConfig) -> None:
    """Broken YAML is told with line and column."""
    with pytest.raises(ConfigError, match=r"config\.yaml:3: column 2: "):
        load_config(write("galaxy:\n  url: x\n access: y\n"), {})


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A file in another encoding is told with the line of the first wrong byte."""
    file = tmp_path / "config.yaml"
    file.write_bytes("galaxy:\n  # Universität\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8") as refused:
        load_config(file, {})
    assert refused.value.problems[0].line == 2


def test_a_byte_order_mark_does_no_harm(write: WriteConfig) -> None:
    """What an editor on Windows puts in front of the text is skipped."""
    file = write("\ufeff" + GOOD)
    assert load_config(file, {}).watches[0].name == "miseq"


@pytest.mark.parametrize("make", ["absent", "folder", "below-a-file"])
def test_no_file(tmp_path: Path, make: str) -> None:
    """A file that is not there, or is none, is one clear problem."""
    file = tmp_path / "config.yaml"
    if make == "folder":
        file.mkdir()
    elif make == "below-a-file":
        file.write_text("")
        file = file / "config.yaml"
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})
    [problem] = refused.value.problems
    assert problem.file == str(file)
    expected = {"absent": "does not exist", "folder": "is a folder", "below-a-file": "cannot be read: Not a directory"}
    assert expected[make] in problem.message


def test_no_configuration_anywhere(tmp_path: Path) -> None:
    """Without --config, WATCHER_CONFIG and the usual file it says where it looked and how to begin."""
    with pytest.raises(ConfigError, match="neither --config nor WATCHER_CONFIG") as refused:
        load_config(None, {}, default=tmp_path / "none.yaml")
    assert str(tmp_path / "none.yaml") in str(refused.value)
    assert "config example" in str(refused.value)


def test_everything_wrong_is_told_at_once(write: WriteConfig) -> None:
    """Wrong writing, wrong values, wrong names and wrong variables come together, in the order of the file."""
    text = GOOD.replace("  api_key_file:", "  aces: private\n  api_key_file:")
    text = text.replace("settle: 5m", "settle: soon").replace("layout: bclconvert", "layout: bclconvrt")
    text = text.replace("watch: miseq, project:", "watch: misek, project:").replace('"{run} {project}"', '"{run}"')
    text = text.replace("    per: project\n", "    per: project\n    per: run\n    prio: 3\n")
    text = text.replace("/results/{run}/{project}", "/results/{run}/{sampel}")
    with pytest.raises(ConfigError) as refused:
        load_config(write(text), {"WATCHER_RESCAN": "never"}, layouts=["bclconvert"])
    assert [(problem.line, problem.key) for problem in refused.value.problems] == [
        (3, "galaxy.aces"),
        (9, "watches[0].settle"),
        (12, "watches[1].layout"),
        (15, "rules[0].match.watch"),
        (17, "rules[0].per"),
        (18, "rules[0].prio"),
        (20, "rules[0].destination.history"),
        (23, "rules[0].deliver[0].folder"),
        (0, "WATCHER_RESCAN"),
    ]
    first = str(refused.value).splitlines()[0]
    assert first.endswith("config.yaml:3: galaxy.aces: is not a key that is known here. Did you mean access?")


def test_what_is_wrong_does_not_hide_what_is_next_to_it(write: WriteConfig) -> None:
    """An entry with a wrong name or path is still compared with the others."""
    text = GOOD.replace("path: /data/nova", "path: data").replace("layout: bclconvert", "layout: bclconvrt")
    text = text.replace("name: amplicon", "name: am pli con").replace("watch: miseq,", "watch: novva,")
    with pytest.raises(ConfigError) as refused:
        load_config(write(text), {}, layouts=["bclconvert"])
    assert [problem.key for problem in refused.value.problems] == [
        "watches[1].path",
        "watches[1].layout",
        "rules[0].name",
        "rules[0].match.watch",
    ]


def test_what_is_missing_altogether(write: WriteConfig) -> None:
    """A nearly empty file is told every part it lacks."""
    with pytest.raises(ConfigError) as refused:
        load_config(write("log: {level: info}\n"), {})
    assert {(problem.key, problem.message) for problem in refused.value.problems} == {
        ("galaxy", "is missing."),
        ("watches", "is missing."),
        ("rules", "is missing."),
    }


def test_lists_without_entries(write: WriteConfig) -> None:
    """Without a watch or a rule nothing would ever happen."""
    galaxy = GOOD.partition("watches:")[0]
    with pytest.raises(ConfigError) as refused:
        load_config(write(galaxy + "watches: []\nrules: []\n"), {})
    assert [problem.message for problem in refused.value.problems] == ["must hold at least one entry."] * 2


def test_one_galaxy_or_several_but_not_both(write: WriteConfig) -> None:
    """`galaxy` beside `galaxies`, and several Galaxies without a choice in the rule, are told."""
    more = "galaxies:\n  a: {url: https://a.example.org, api_key_file: KEY}\n"
    more += "  b: {url: https://b.example.org, api_key_file: KEY}\n"
    with pytest.raises(ConfigError, match="galaxies: and galaxy are both set"):
        load_config(write(GOOD + more), {})
    several = more + GOOD[GOOD.index("state:") :]
    with pytest.raises(ConfigError) as refused:
        load_config(write(several), {})
    assert [str(problem).split(": ", 1)[1] for problem in refused.value.problems] == [
        "rules[0].galaxy: is missing. There are several: a, b.",
        "rules[1].galaxy: is missing. There are several: a, b.",
    ]


ENVIRONMENT = {
    "wrong-value": ({"WATCHER_LIMITS__TRANSFERS": "many"}, "WATCHER_LIMITS__TRANSFERS", "whole number"),
    "wrong-url": ({"WATCHER_GALAXY__URL": "here"}, "WATCHER_GALAXY__URL", "not a web address"),
    "no-json": ({"WATCHER_WATCHES": "[{name: x"}, "WATCHER_WATCHES", "is not JSON"),
    "nan": ({"WATCHER_RULES": '[{"name": NaN}]'}, "WATCHER_RULES", "is not JSON"),
    "wrong-inside-json": (
        {"WATCHER_WATCHES": '[{"name": "miseq", "path": "x"}, {"name": "nova", "path": "/n"}]'},
        "WATCHER_WATCHES (watches[0].path)",
        "absolute path",
    ),
    "unknown-below": ({"WATCHER_GALAXY__URI": "x"}, "WATCHER_GALAXY__URI", "Did you mean url?"),
    "unknown-section": ({"WATCHER_GALXY__URL": "x"}, "WATCHER_GALXY__URL", "Did you mean WATCHER_GALAXY?"),
    "misspelt": ({"WATCHER_RESCANN": "5m"}, "WATCHER_RESCANN", "Did you mean WATCHER_RESCAN?"),
    "text-for-a-section": ({"WATCHER_STATE": "/x"}, "WATCHER_STATE", "is not JSON"),
}


@pytest.mark.parametrize("case", ENVIRONMENT.values(), ids=ENVIRONMENT.keys())
def test_wrong_variables(write: WriteConfig, case: tuple[dict[str, str], str, str]) -> None:
    """What is wrong in the environment is told by the name of the variable."""
    env, variable, message = case
    with pytest.raises(ConfigError) as refused:
        load_config(write(GOOD), env)
    [problem] = refused.value.problems
    assert (problem.file, problem.key) == ("environment", variable)
    assert message in f"{problem.message} {problem.hint}"


SECRETS = {
    "key-in-file": "galaxy: {url: https://g.example.org, api_key: SECRET}",
    "key-as-alias": "galaxy: {url: https://g.example.org, api_key: *SECRET }",
    "key-as-galaxy": "galaxy: SECRET",
    "key-under-a-wrong-name": "galaxy: {url: https://g.example.org, apikey: SECRET}",
    "key-as-choice": "galaxy: {url: https://g.example.org, access: SECRET}",
    "key-as-url": "galaxy: {url: SECRET key}",
    "password-in-url": "galaxy: {url: 'https://me:SECRET@g.example.org'}",
    "password-of-database": "state: {url: 'mysql://me:SECRET@db/x'}",
}


@pytest.mark.parametrize("written", SECRETS.values(), ids=SECRETS.keys())
def test_secrets_never_show_in_problems(write: WriteConfig, written: str) -> None:
    """A key or password in whatever wrong place is refused without being repeated."""
    with pytest.raises(ConfigError) as refused:
        load_config(write(written.replace("SECRET", SECRET) + "\n"), {})
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
