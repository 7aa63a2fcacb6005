"""Everything the operator wrote, as one frozen value.

`Settings` is built from a mapping and reads nothing by itself: files, environment and secrets are brought together in
`load.py`, which also finds what does not fit together. The parts have files of their own: `galaxies.py`,
`watches.py`, `rules.py`, `destinations.py`, `deliveries.py`, `object_stores.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from watcher.config.galaxies import GalaxySettings
from watcher.config.hours import Hours
from watcher.config.object_stores import ObjectStoreSettings
from watcher.config.rules import RuleSettings
from watcher.config.values import AbsolutePath, Count, Interval, Misfit, Name, Section, Size, at_least_one, wrong
from watcher.config.watches import WatchSettings
from watcher.config.workflows import Share

DEFAULT_STATE = Path("/var/lib/galaxy-watcher/state.sqlite")


def _check_state_url(url: str) -> str:
    if not url or re.fullmatch(r"postgresql\+psycopg://[\x21-\x7e]+", url):
        return url
    if url.startswith("sqlite"):
        raise wrong("is only for PostgreSQL.", "Name the file of SQLite in path.")
    raise wrong(
        "is not the address of a PostgreSQL database.",
        "For example postgresql+psycopg://watcher@db.example.org/watcher.",
    )


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = difflib.get_close_matches(name, available_timezones(), n=1, cutoff=0.6)
        hint = f"Did you mean {near[0]}?" if near else "For example Europe/Berlin; the system's tzdata knows them."
        raise wrong("is not a time zone that is known here.", hint) from None
    return name


class StateSettings(Section):
    """Where the state is kept: a SQLite file on a local disk, or a PostgreSQL database."""

    path: AbsolutePath | None = Field(None, description="SQLite file, on a local disk.")
    url: Annotated[str, AfterValidator(_check_state_url)] = Field(
        "", repr=False, description="PostgreSQL database instead: postgresql+psycopg://USER@HOST/NAME."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and not written.get("path") and not written.get("url"):
            return {**written, "path": DEFAULT_STATE}
        return written


class LimitSettings(Section):
    """How much happens at the same time."""

    transfers: Count = Field(4, description="Files sent at the same time.")
    per_mount_looks: Count = Field(2, description="Threads that look at one file system.")
    invocations: Count = Field(10, description="Workflows that run on one Galaxy at the same time.")
    unfinished_share: Share = Field(
        1.0,
        description="No further workflow while more than this share of those started on that Galaxy within a day, ten"
        " at least, has not ended: a server that is behind gets no more. 100%: never.",
    )
    library_files: Count = Field(
        100,
        description="Files put into a library with one request: Galaxy works on all of them before it answers.",
    )
    probe: Interval = Field(timedelta(minutes=1), description="How often to ask whether an obstacle is gone.")
    uncertain_for: Interval = Field(
        timedelta(minutes=10),
        description="How long a request whose answer was lost may still take effect; only then it is repeated.",
    )
    chunk_bytes: Size | None = Field(
        None, description="Largest piece sent in one request, for proxies that limit it; else as Galaxy says."
    )


class LogSettings(Section):
    """What the log looks like."""

    format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, else JSON lines.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is shown.")


class Settings(Section):
    """The whole configuration."""

    galaxy: GalaxySettings | None = Field(None, description="The Galaxy that takes the runs.")
    galaxies: Mapping[Name, GalaxySettings] = Field(
        default_factory=dict, description="Instead of galaxy, when there are several: each under a name that rules use."
    )
    state: StateSettings = Field(default_factory=StateSettings, description="Where the state is kept.")
    watches: Annotated[tuple[WatchSettings, ...], BeforeValidator(at_least_one)] = Field(
        description="The places that are looked at."
    )
    rules: Annotated[tuple[RuleSettings, ...], BeforeValidator(at_least_one)] = Field(
        description="What happens to samples. For each one the first rule that matches counts."
    )
    unmatched: Literal["hold", "ignore"] = Field(
        "hold", description="Samples that no rule takes: hold asks a person, ignore lists them."
    )
    on_clash: Literal["suffix", "hold"] = Field(
        "suffix", description="A place that another batch owns: suffix appends unit and version, hold asks a person."
    )
    rescan: Interval = Field(timedelta(minutes=5), description="How often each watch is looked through.")
    rescan_active: Interval = Field(timedelta(seconds=60), description="How often while something is being written.")
    time_zone: Annotated[str, AfterValidator(_check_zone)] | None = Field(
        None, description="Time zone of the hours of watches, for example Europe/Berlin; else this machine's own."
    )
    object_stores: tuple[ObjectStoreSettings, ...] = Field(
        (),
        description="How to reach object stores that results go to, a list: each has a prefix such as s3://results, and"
        " endpoint, region, key files as it needs. One that is not listed is reached with what the environment holds"
        " (AWS_ACCESS_KEY_ID and so on), or as the identity of this machine in its cloud.",
    )
    layouts_dir: AbsolutePath | None = Field(None, description="Folder with layouts of your own (*.toml).")
    limits: LimitSettings = Field(default_factory=LimitSettings, description="How much happens at the same time.")
    log: LogSettings = Field(default_factory=LogSettings, description="What the log looks like.")

    @model_validator(mode="after")
    def _name_galaxies(self) -> Self:
        """Let `galaxies` hold every Galaxy under its name, whichever way it was written."""
        written = {"galaxy": self.galaxy} if self.galaxy is not None else self.galaxies
        # The value is not in use yet; freezing it is for everybody after this line.
        self.__dict__["galaxies"] = {name: galaxy.called(name) for name, galaxy in written.items()}
        return self

    def galaxy_of(self, rule: RuleSettings) -> GalaxySettings:
        """Return the Galaxy a rule sends to: the one it names, else the only one."""
        return self.galaxies[rule.galaxy] if rule.galaxy is not None else next(iter(self.galaxies.values()))

    def watch(self, name: str) -> WatchSettings | None:
        """Return the watch of that name; None when it is not configured (any more)."""
        return next((watch for watch in self.watches if watch.name == name), None)

    def hours_of(self, watch: str) -> Hours:
        """Return when files of that watch are sent; always, when it is not configured (any more)."""
        found = self.watch(watch)
        zone = ZoneInfo(self.time_zone) if self.time_zone is not None else None
        return Hours(found.hours if found and found.hours else (), zone)

    def rule(self, name: str) -> RuleSettings | None:
        """Return the rule of that name; None when it is not configured (any more)."""
        return next((rule for rule in self.rules if rule.name == name), None)


def state_misfits(state: StateSettings) -> Iterator[Misfit]:
    """Find what is wrong between the values of the state section."""
    if state.path is not None and state.url:
        yield Misfit(("url",), "and path are both set.", "Keep one of them.")
