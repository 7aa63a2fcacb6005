"""Do the parts of a configuration fit each other?

Finds duplicate and unknown names, rules without a Galaxy, templates that are coarser than their rule, deliveries that
would come in again as new runs. It works on whatever parts could be read, so that one wrong value does not hide the
problems next to it. `load.py` puts file and line to what is found here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from watcher.config.destinations import Per, fixed_folder
from watcher.config.galaxies import GalaxySettings, galaxy_misfits
from watcher.config.object_stores import ObjectStoreSettings, prefix_misfits, store_misfits
from watcher.config.problems import did_you_mean
from watcher.config.rules import RuleSettings, rule_misfits, template_misfits
from watcher.config.settings import StateSettings, state_misfits
from watcher.config.values import KeyPath, Misfit
from watcher.config.watches import WatchSettings
from watcher.config.ways import path_misfits, watch_misfits, way_misfits

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Readable:
    """The parts that could be read, with their number in the file; names also of those that could not."""

    watches: tuple[tuple[int, WatchSettings], ...]
    rules: tuple[tuple[int, RuleSettings], ...]
    unclear_cut: frozenset[int]  # rules whose `per` could not be read
    with_library: frozenset[int]  # rules that name a library, whether it could be read or not
    state: StateSettings | None
    watch_names: tuple[tuple[int, str], ...]
    rule_names: tuple[tuple[int, str], ...]
    galaxies: tuple[tuple[KeyPath, GalaxySettings], ...]  # where it is written, and what it says
    galaxy_names: tuple[str, ...]
    stores: tuple[tuple[int, ObjectStoreSettings], ...]
    galaxy_forms: tuple[str, ...]  # of `galaxy` and `galaxies`, those that are written


def readable_parts(values: Mapping[str, Any]) -> Readable:
    """Read every part of the raw values that can be read, leaving out what is wrong inside it."""
    raw_watches, raw_rules = _entries(values.get("watches")), _entries(values.get("rules"))
    # Stand-ins for what must be there: nothing is compared with them.
    watches = [
        (number, _salvage(WatchSettings, {"name": "unreadable", "path": f"/.unreadable/{number}"}, raw))
        for number, raw in raw_watches
    ]
    rules = [(number, _salvage(RuleSettings, {"name": "unreadable"}, raw)) for number, raw in raw_rules]
    several = values.get("galaxies")
    named = tuple(str(name) for name in several) if isinstance(several, Mapping) else ()
    raw_galaxies: list[tuple[KeyPath, Any]] = [(("galaxy",), values.get("galaxy"))]
    raw_galaxies += [(("galaxies", name), several[name]) for name in several] if isinstance(several, Mapping) else []
    galaxies = [
        (place, _salvage(GalaxySettings, {"url": "https://unreadable.invalid"}, raw))
        for place, raw in raw_galaxies
        if isinstance(raw, Mapping)
    ]
    stores = [
        (number, _salvage(ObjectStoreSettings, {"prefix": f"s3://unreadable.{number}"}, raw))
        for number, raw in _entries(values.get("object_stores"))
    ]
    state = values.get("state")
    return Readable(
        watches=tuple((number, watch) for number, watch in watches if watch is not None),
        rules=tuple((number, rule) for number, rule in rules if rule is not None),
        unclear_cut=frozenset(number for number, raw in raw_rules if raw.get("per", "run") not in get_args(Per)),
        with_library=frozenset(number for number, raw in raw_rules if _names_library(raw)),
        state=_salvage(StateSettings, {}, state) if isinstance(state, Mapping) else None,
        watch_names=_names(raw_watches),
        rule_names=_names(raw_rules),
        galaxies=tuple((place, galaxy) for place, galaxy in galaxies if galaxy is not None),
        galaxy_names=named or (("galaxy",) if values.get("galaxy") is not None else ()),
        stores=tuple((number, store) for number, store in stores if store is not None),
        galaxy_forms=tuple(form for form in ("galaxy", "galaxies") if values.get(form) not in (None, {})),
    )


def _names_library(raw_rule: Mapping[str, Any]) -> bool:
    destination = raw_rule.get("destination")
    return isinstance(destination, Mapping) and destination.get("library") is not None


def misfits(parts: Readable, layouts: Collection[str] | None) -> Iterator[Misfit]:
    """Find everything that does not fit; `layouts` are the known layout names, None = not known, not compared."""
    yield from _galaxy_misfits(parts)
    for place, galaxy in parts.galaxies:
        yield from _below(place, galaxy_misfits(galaxy))
    yield from _duplicates("watches", parts.watch_names)
    yield from _duplicates("rules", parts.rule_names)
    if parts.state is not None:
        yield from _below(("state",), state_misfits(parts.state))
    yield from prefix_misfits(parts.stores)
    for number, store in parts.stores:
        yield from _below(("object_stores", number), store_misfits(store))
    yield from _shared_paths(parts)
    for number, watch in parts.watches:
        if layouts is not None and watch.layout != "auto" and watch.layout not in layouts:
            yield Misfit(("watches", number, "layout"), *_unknown("layout", watch.layout, [*layouts, "auto"]))
        yield from _below(("watches", number), watch_misfits(watch))
        yield from way_misfits(watch, number, list(_takers(watch, parts)), parts.with_library)
    for place, galaxy in parts.galaxies:
        yield from _below(place, path_misfits(galaxy))
    for number, rule in parts.rules:
        yield from _below(("rules", number), rule_misfits(rule))
        if number not in parts.unclear_cut:
            yield from _below(("rules", number), template_misfits(rule))
        yield from _below(("rules", number), _match_misfits(rule, parts, layouts))
        yield from _below(("rules", number), _loops(rule, parts))
        yield from _below(("rules", number), _readers(rule, parts))


def _takers(watch: WatchSettings, parts: Readable) -> Iterator[tuple[int, RuleSettings, GalaxySettings | None]]:
    """Yield the rules that may take runs of a watch, each with its Galaxy as far as that can be told."""
    accounts = {str(place[-1]): galaxy.called(str(place[-1])) for place, galaxy in parts.galaxies}
    only = next(iter(accounts.values())) if len(accounts) == 1 else None
    for number, rule in parts.rules:
        if any(fnmatchcase(watch.name, pattern) for pattern in rule.match.watch):
            yield number, rule, accounts.get(rule.galaxy) if rule.galaxy else only


def _galaxy_misfits(parts: Readable) -> Iterator[Misfit]:
    if not parts.galaxy_forms:
        yield Misfit(("galaxy",), "is missing.", "It tells the address of Galaxy: galaxy: {url: …, api_key_file: …}.")
    if len(parts.galaxy_forms) > 1:
        yield Misfit(("galaxies",), "and galaxy are both set.", "Keep galaxy for a single one, galaxies for several.")
        return
    for number, rule in parts.rules:
        if rule.galaxy is None and len(parts.galaxy_names) > 1:
            yield Misfit(
                ("rules", number, "galaxy"), "is missing.", f"There are several: {', '.join(parts.galaxy_names)}."
            )
        elif rule.galaxy is not None and parts.galaxy_names and rule.galaxy not in parts.galaxy_names:
            yield Misfit(("rules", number, "galaxy"), *_unknown("Galaxy", rule.galaxy, parts.galaxy_names))


def _match_misfits(rule: RuleSettings, parts: Readable, layouts: Collection[str] | None) -> Iterator[Misfit]:
    names = [name for _, name in parts.watch_names]
    for number, pattern in enumerate(rule.match.watch):
        if _is_name(pattern) and pattern not in names:
            yield Misfit(("match", "watch", number), *_unknown("watch", pattern, names))
    for number, pattern in enumerate(rule.match.layout):
        if layouts is not None and _is_name(pattern) and pattern not in layouts:
            yield Misfit(("match", "layout", number), *_unknown("layout", pattern, layouts))


def _duplicates(section: str, names: tuple[tuple[int, str], ...]) -> Iterator[Misfit]:
    first: dict[str, int] = {}
    for number, name in names:
        if first.setdefault(name, number) != number:
            yield Misfit(
                (section, number, "name"), f"is the name of {section}[{first[name]}] as well.", "Give each its own."
            )


def _shared_paths(parts: Readable) -> Iterator[Misfit]:
    first: dict[str, int] = {}
    for number, watch in parts.watches:
        if (other := first.setdefault(str(watch.path), number)) != number:
            yield Misfit(
                ("watches", number, "path"),
                f"is watched by watches[{other}] as well.",
                "Every run would be found twice; rules can tell runs of one watch apart.",
            )
    for number, watch in parts.watches:
        for _, outer in parts.watches:
            # What takes single files only never looks into folders.
            if outer.layout != "files" and watch.path != outer.path and watch.path.is_relative_to(outer.path):
                yield Misfit(
                    ("watches", number, "path"),
                    f"lies inside the watch {outer.name} ({outer.path}): its runs would be found twice.",
                    "Watch folders beside each other; rules can tell runs of one watch apart.",
                )


def _loops(rule: RuleSettings, parts: Readable) -> Iterator[Misfit]:
    """Results delivered into a watched folder would come in again as something new."""
    for number, delivery in enumerate(rule.deliver):
        if delivery.folder is None:
            continue
        folder = fixed_folder(delivery.folder)
        for _, watch in parts.watches:
            if folder.is_relative_to(watch.path):
                yield Misfit(
                    ("deliver", number, "folder"),
                    f"lies inside the watch {watch.name} ({watch.path}): results would come in again as new runs.",
                    "Deliver to a folder that is not watched.",
                )
    archive = fixed_folder(rule.finish.archive) if rule.finish.archive else None
    for _, watch in parts.watches if archive is not None else ():
        if archive is not None and (archive.is_relative_to(watch.path) or watch.path.is_relative_to(archive)):
            yield Misfit(
                ("finish", "archive"),
                f"and the watch {watch.name} ({watch.path}) lie one in the other: its runs would come in again.",
                "Archive to a folder that is not watched, and that holds no watch.",
            )


def _readers(rule: RuleSettings, parts: Readable) -> Iterator[Misfit]:
    """Galaxy opens a private dataset to one named user at a time: asked for two, it lets in the last one only."""
    share = rule.destination.share
    named = {str(place[-1]): galaxy for place, galaxy in parts.galaxies}
    galaxy = named.get(rule.galaxy or "") or (parts.galaxies[0][1] if len(parts.galaxies) == 1 else None)
    if len(share.users) > 1 and not share.roles and galaxy is not None and galaxy.access == "private":
        yield Misfit(
            ("destination", "share", "users"),
            "names several users, but Galaxy opens private datasets to one of them only.",
            "Add roles: with the name of a role that all of them have; an administrator of Galaxy makes one.",
        )


def _unknown(what: str, written: str, known: Collection[str]) -> tuple[str, str]:
    listed = f"Known: {', '.join(sorted(known))}." if known else f"There is no {what}."
    return f"names no {what} that is known: {written}.", did_you_mean(written, known, else_hint=listed)


def _is_name(pattern: str) -> bool:
    return not any(letter in pattern for letter in "*?[")


def _below(path: KeyPath, found: Iterator[Misfit]) -> Iterator[Misfit]:
    for misfit in found:
        yield misfit._replace(key=path + misfit.key)


def _entries(section: object) -> list[tuple[int, Mapping[str, Any]]]:
    entries = section if isinstance(section, list | tuple) else ()
    return [(number, entry) for number, entry in enumerate(entries) if isinstance(entry, Mapping)]


def _names(entries: list[tuple[int, Mapping[str, Any]]]) -> tuple[tuple[int, str], ...]:
    return tuple((number, name) for number, entry in entries if isinstance(name := entry.get("name"), str))


def _salvage(section: type[S], stand_ins: Mapping[str, Any], raw: Mapping[str, Any]) -> S | None:
    """Read a section without the values that are wrong; None when what is left does not make one."""
    left: Any = _copied(raw)
    # What is wrong was already told by the check of the whole. From the end, so that list entries keep their numbers.
    for _ in range(20):
        try:
            return section.model_validate({**stand_ins, **left})
        except ValidationError as refused:
            if not any([_take_away(left, tuple(error["loc"])) for error in reversed(refused.errors())]):
                return None
    return None


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(entry) for key, entry in value.items()}
    return [_copied(entry) for entry in value] if isinstance(value, list | tuple) else value


def _take_away(value: Any, path: KeyPath) -> bool:
    """Remove what stands at the path, else what it should have stood in; False when that is everything."""
    deepest: tuple[Any, Any] | None = None
    for part in path:
        places = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part in places:
            deepest, value = (value, part), value[part]
        elif part != 0:  # 0: a list with one entry, written without the list
            break
    if deepest is None:
        return False
    del deepest[0][deepest[1]]
    return True
