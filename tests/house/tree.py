"""The project's own files, as the house tests read them: which there are, their syntax trees, the names they define.

It holds no rule; each rule stands in the test of its name.
"""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNTRACKED = {"__pycache__", "build", "dist", "htmlcov", "uv.lock"}


@dataclass(frozen=True)
class Source:
    """One Python file; `name` is its path from the project's root."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        """The file as written."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The file's syntax tree."""
        return ast.parse(self.text, self.name)


def python_files(*folders: str, root: Path = ROOT) -> list[Source]:
    """Return the Python files below these folders; a folder that is not there yet has none."""
    return [
        Source(path, path.relative_to(root).as_posix())
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def project_files(root: Path = ROOT) -> list[Path]:
    """Return what is tracked, or new and not ignored; without git, all but what tools leave behind."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = [path.relative_to(root).as_posix() for path in root.rglob("*")]
        listed = [name for name in listed if not is_left_behind(Path(name))]
    return [root / name for name in sorted(listed) if name and (root / name).is_file()]


def is_left_behind(path: Path) -> bool:
    """Say whether a tool made this: caches, environments, builds."""
    dotted = path.parts[0].startswith(".") and path.parts[0] not in {".ci", ".github", ".gitignore"}
    return dotted or bool(UNTRACKED.intersection(path.parts)) or path.suffix == ".pyc"


def defined_names(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Yield each identifier that this file makes up, as (name, line, what it is), not the foreign ones it uses."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name):
                yield name, node.lineno, "class"
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno, "function"
            case ast.arg(arg=name):
                yield name, node.lineno, "argument"
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno, "variable"
            case ast.alias(asname=str(name)):
                yield name, node.lineno, "import"
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno, "variable"


def functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield the functions of a module and the methods of its classes, each with its dotted name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, node.name
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield inner, f"{node.name}.{inner.name}"
