"""From a file, the environment and secret files to `Settings`, or to every problem at once.

Later wins: YAML file, `WATCHER_` variables, secret files (those hold API keys only). `load_config` is the way in; it
names each problem with file, line and key. It knows neither which layouts exist (they are handed in) nor whether
Galaxy and the watched folders answer (`check` asks).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from watcher.config.environment import CONFIG_VARIABLE, PLACE, read_environment, variable_of
from watcher.config.fit import Readable, misfits, readable_parts
from watcher.config.galaxies import SECRETS_FOLDER, GalaxySettings
from watcher.config.problems import explain
from watcher.config.settings import Settings
from watcher.config.values import KeyPath, Misfit
from watcher.config.written import SIZE_LIMIT_BYTES, Written, key_text, read_yaml
from watcher.errors import ConfigError, ConfigProblem

DEFAULT_CONFIG = Path("/etc/galaxy-watcher/config.yaml")

LayoutNames = Collection[str] | Callable[[Path | None], Collection[str]]
"""The known layouts, or how to learn them from the folder `layouts_dir` names."""


def find_config(path: Path | None, env: Mapping[str, str], default: Path = DEFAULT_CONFIG) -> Path:
    """Return the file to read: the one asked for, else $WATCHER_CONFIG, else the usual place. Raises ConfigError."""
    if path is not None:
        return path
    if env.get(CONFIG_VARIABLE):
        return Path(env[CONFIG_VARIABLE])
    if default.exists():
        return default
    message = (
        f"There is no configuration: neither --config nor {CONFIG_VARIABLE} is given, and this file does not exist."
    )
    raise ConfigError([ConfigProblem(str(default), 0, "the file", message, _START_HINT)])


_START_HINT = "`galaxy-watcher config example` writes a complete one to start from."


def load_config(
    path: Path | None,
    env: Mapping[str, str] | None = None,
    *,
    layouts: LayoutNames | None = None,
    check_keys: bool = True,
    default: Path = DEFAULT_CONFIG,
    secrets: Path = SECRETS_FOLDER,
) -> Settings:
    """Load the configuration, or raise ConfigError with everything that is wrong.

    `layouts` None leaves layout names uncompared. `check_keys=False` is for commands that never talk to Galaxy: they
    may run as a user who cannot read the key. `env` None means the variables of this process.
    """
    variables = os.environ if env is None else env
    file = find_config(path, variables, default)
    written = read_yaml(_read(file), str(file))
    told, env_problems = read_environment(variables)
    merged = _overlaid(written.values, told)
    places = _Places(file, written, told)
    problems = [*written.problems, *env_problems, *_keys_in_file(written, places)]

    settings = _validated(merged, problems, places)
    known = _layout_names(layouts, merged, problems)
    told_already = [problem.key for problem in problems]
    parts = readable_parts(merged)
    for misfit in misfits(parts, known):
        found = places.problem(misfit)
        below = (f"{found.key}.", f"{found.key}[") if misfit.unless_wrong_below else ()
        if not any(key == found.key or key.startswith(below) for key in told_already):
            problems.append(found)
    credentials = variables.get("CREDENTIALS_DIRECTORY")
    folders = (Path(credentials) if credentials else None, secrets)
    if settings is not None:
        settings = _with_key_folders(settings, *folders)
    if check_keys:
        problems.extend(places.problem(misfit) for misfit in _key_misfits(settings, parts, *folders))
    if problems or settings is None:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.file == PLACE, problem.line)))
    return settings


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(SIZE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        problem = ConfigProblem(str(file), 0, "the file", "does not exist.", _START_HINT)
    except IsADirectoryError:
        problem = ConfigProblem(str(file), 0, "the file", "is a folder.", "Name the file in it.")
    except (OSError, ValueError) as refused:
        reason = refused.strerror if isinstance(refused, OSError) else "its name is not possible"
        problem = ConfigProblem(str(file), 0, "the file", f"cannot be read: {reason}.")
    raise ConfigError([problem])


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above` in it; a value of the wrong kind below stays, to be told about."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = _overlaid(under, value)
        elif not isinstance(value, Mapping) or under is None:
            merged[key] = value
    return merged


@dataclass(frozen=True, slots=True)
class _Places:
    """Knows where each value was written."""

    file: Path
    written: Written
    told: Mapping[str, Any]

    def problem(self, misfit: Misfit) -> ConfigProblem:
        """Put file, line and key to something that is wrong."""
        variable = self._variable(misfit.key)
        if variable is not None:
            return ConfigProblem(PLACE, 0, variable, misfit.message, misfit.hint)
        key, line = self._as_written(misfit.key)
        return ConfigProblem(str(self.file), line, key_text(key), misfit.message, misfit.hint)

    def _variable(self, key: KeyPath) -> str | None:
        """Return the variable that told this value, if one did."""
        here: Any = self.told
        for depth, part in enumerate(key):
            if isinstance(here, Mapping):
                if part not in here:
                    return None
                here = here[part]
            else:
                # Below here it is JSON inside one variable.
                return f"{variable_of(key[:depth])} ({key_text(key)})"
        return None if isinstance(here, Mapping) else variable_of(key)

    def _as_written(self, key: KeyPath) -> tuple[KeyPath, int]:
        """Return the key as the file has it, and the line it or the nearest thing around it stands on."""
        lines = self.written.lines
        path: KeyPath = ()
        line = 0
        for part in key:
            if (*path, part) not in lines and part == 0 and path in lines:
                continue  # a list with one entry, written without the list
            path = (*path, part)
            line = lines.get(path, line)
        return path, line


def _validated(merged: Mapping[str, Any], problems: list[ConfigProblem], places: _Places) -> Settings | None:
    try:
        return Settings.model_validate(merged)
    except ValidationError as refused:
        for error in refused.errors(include_url=False):
            key = tuple(part for part in error["loc"] if part != "[key]")
            problem = places.problem(Misfit(key, *explain(error, places.file.absolute().parent)))
            # What could not even be read was told with its cause.
            if problem.key not in {told.key for told in problems}:
                problems.append(problem)
        return None


def _keys_in_file(written: Written, places: _Places) -> Iterator[ConfigProblem]:
    """Find API keys written into the file, where they do not belong."""
    galaxies = written.values.get("galaxies")
    sections: list[KeyPath] = [("galaxy",)]
    if isinstance(galaxies, Mapping):
        sections.extend(("galaxies", name) for name in galaxies)
    for path in sections:
        if (*path, "api_key") in written.lines:
            key, line = (*path, "api_key"), written.lines[(*path, "api_key")]
            yield ConfigProblem(
                str(places.file),
                line,
                key_text(key),
                "does not belong into this file, which many may read.",
                "Write the key to a file of its own (chmod 600) and name that file in api_key_file.",
            )


def _layout_names(
    layouts: LayoutNames | None, merged: Mapping[str, Any], problems: list[ConfigProblem]
) -> Collection[str] | None:
    if not callable(layouts):
        return layouts
    own = merged.get("layouts_dir")
    try:
        return layouts(Path(own) if isinstance(own, str) and own.startswith("/") and "\0" not in own else None)
    except ConfigError as refused:
        problems.extend(refused.problems)
        return None


def _with_key_folders(settings: Settings, credentials: Path | None, secrets: Path) -> Settings:
    """Tell each Galaxy where systemd and Docker put keys."""
    galaxies = {
        name: galaxy.called(name, credentials=credentials, secrets=secrets)
        for name, galaxy in settings.galaxies.items()
    }
    only = galaxies.get("galaxy") if settings.galaxy is not None else None
    return settings.model_copy(update={"galaxies": galaxies, "galaxy": only})


def _key_misfits(
    settings: Settings | None, parts: Readable, credentials: Path | None, secrets: Path
) -> Iterable[Misfit]:
    """Read every secret; where the whole could not be read, at least those whose file is named."""
    for section, galaxy in _galaxies(settings, parts, credentials, secrets):
        for option, refused in galaxy.secrets():
            if refused is not None and (settings is not None or getattr(galaxy, option) is not None):
                yield Misfit((*section, option), refused.message, refused.hint)
    for number, store in parts.stores:
        for option, refused in store.secrets():
            if refused is not None:
                yield Misfit(("object_stores", number, option), refused.message, refused.hint)


def _galaxies(
    settings: Settings | None, parts: Readable, credentials: Path | None, secrets: Path
) -> Iterable[tuple[KeyPath, GalaxySettings]]:
    if settings is None:
        for section, galaxy in parts.galaxies:
            yield section, galaxy.called(str(section[-1]), credentials=credentials, secrets=secrets)
        return
    for name, galaxy in settings.galaxies.items():
        yield ("galaxy",) if settings.galaxy is not None else ("galaxies", name), galaxy
