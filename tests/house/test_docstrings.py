"""Docstrings are there: a module says its job and where to read next, a test says what behaviour it proves."""

import ast
from pathlib import Path

from tests.house.tree import Source, functions, python_files

FOREIGN = {"override", "overload", "setter", "deleter"}
SILENT = """\
def loud(): ...
class _Own:
    def quiet(self): ...
class Open:
    'Something.'
    @override
    def same(self): ...
    def bare(self): ...
"""


def is_public(dotted: str) -> bool:
    """Say whether no part of the name is private."""
    return not any(part.startswith("_") for part in dotted.split("."))


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the last name of each decorator."""
    plain = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in plain}


def undocumented(source: Source) -> list[str]:
    """List the public classes, functions and methods of a file that say nothing."""
    silent = [
        (dotted, node.lineno)
        for node, dotted in functions(source.tree)
        if is_public(dotted) and not ast.get_docstring(node) and not FOREIGN & decorators(node)
    ]
    silent += [
        (node.name, node.lineno)
        for node in source.tree.body
        if isinstance(node, ast.ClassDef) and is_public(node.name) and not ast.get_docstring(node)
    ]
    return [f"{source.name}:{line} {dotted}" for dotted, line in sorted(silent, key=lambda each: each[1])]


def is_migration(source: Source) -> bool:
    """Say whether Alembic dictates the file's form."""
    return source.name.startswith("watcher/store/migrations/")


def test_modules_say_their_job() -> None:
    """Every module of the program opens with at least two lines: its job, what it does not know, where to go next."""
    wrong = []
    for source in python_files("watcher", "benchmarks"):
        lines = (ast.get_docstring(source.tree) or "").splitlines()
        needed = 1 if source.path.name == "__init__.py" or is_migration(source) else 2
        if len(lines) < needed:
            wrong.append(f"{source.name}: {len(lines)} lines of docstring, at least {needed}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_public_names_say_what_for() -> None:
    """Every public class, function and method of the program has a docstring."""
    files = [source for source in python_files("watcher", "benchmarks") if not is_migration(source)]
    wrong = [line for source in files for line in undocumented(source)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_tests_say_what_they_prove() -> None:
    """Every test has a docstring that opens with a sentence of behaviour."""
    wrong = []
    for source in python_files("tests"):
        for node, dotted in functions(source.tree):
            opening = (ast.get_docstring(node) or "").split("\n\n")[0]
            if node.name.startswith("test_") and not opening.rstrip().endswith("."):
                wrong.append(f"{source.name}:{node.lineno} {dotted}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_silent_name_is_found() -> None:
    """A public function or method without a docstring is named; a private or overriding one is not."""
    source = Source(Path("sample.py"), "sample.py")
    vars(source)["text"] = SILENT
    assert undocumented(source) == ["sample.py:1 loud", "sample.py:8 Open.bare"]
