"""Galaxy's datatypes: which extension counts as another one, and into which one it is converted unasked.

What Galaxy tells, `/api/datatypes/mapping`, are the classes behind its datatypes. Its own comparison is not quite that
of classes: a compressed text counts as what it is inside, compressed alike, and not as a text (`matches_any` in
`galaxy/datatypes/binary.py`). With that, both answers here agree with the `acceptable_extensions` that 26.1.2 itself
tells in `download?style=run`. Pure but for `ask`, and the same on 24.1.4 and 25.0.4.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from watcher.galaxy.answers import Answer
from watcher.galaxy.http import Http

_ANY = "galaxy.datatypes.data.Data"
_ARCHIVES = (
    "galaxy.datatypes.binary.GzDynamicCompressedArchive",
    "galaxy.datatypes.binary.Bz2DynamicCompressedArchive",
)
_COMPRESSED = (_ANY, "galaxy.datatypes.binary.Binary", "galaxy.datatypes.binary.CompressedArchive")
"""What anything compressed counts as."""

_MADE = "galaxy.datatypes.registry."
"""How classes are called that Galaxy makes while it starts, one for each extension, several by one name."""


class _Mapping(Answer):
    ext_to_class_name: Mapping[str, str | None]
    class_to_classes: Mapping[str, Mapping[str, bool]]


class _Converter(Answer):
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Datatypes:
    """The extensions of one Galaxy with the class of each, the classes each class is of, and the targets of Galaxy's
    converters by source.
    """

    class_of: Mapping[str, str]
    classes: Mapping[str, frozenset[str]]
    converters: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def extensions(self) -> frozenset[str]:
        """All extensions that this Galaxy knows."""
        return frozenset(self.class_of)

    def fits(self, ext: str, wanted: Collection[str]) -> bool:
        """Tell whether a dataset of this extension is, for Galaxy, one of the wanted ones or of a kind of them.

        Of an extension that this Galaxy does not know only the same one fits, and `data`, which everything fits.
        """
        if ext in wanted or "data" in wanted:
            return True
        archive = self._archive(ext)
        if not archive:
            return any(self._is_kind_of(ext, one) for one in wanted)
        inside = [one for one in wanted if self._archive(one) == archive]
        if inside and self.fits(_unpacked(ext), [_unpacked(one) for one in inside]):
            return True
        return any(self.class_of.get(one) in _COMPRESSED for one in wanted if one not in inside)

    def converts(self, ext: str, wanted: Collection[str]) -> bool:
        """Tell whether Galaxy would convert such a dataset, unasked, so that it fits; what fits is not converted."""
        if self.fits(ext, wanted):
            return False
        # Converters of what it is a kind of will do as well, and here classes decide, compressed or not.
        known = [them for one, them in self.converters.items() if one == ext or self._is_kind_of(ext, one)]
        return any(self.fits(target, wanted) for targets in known for target in targets)

    def _archive(self, ext: str) -> str:
        """Return the class that tells how the extension is compressed, empty for one that is not."""
        classes = self.classes.get(self.class_of.get(ext, ""), frozenset())
        return next((one for one in _ARCHIVES if one in classes), "")

    def _is_kind_of(self, ext: str, wanted: str) -> bool:
        class_ = self.class_of.get(wanted)
        if class_ is None or class_.startswith(_MADE):
            return False
        return class_ in self.classes.get(self.class_of.get(ext, ""), frozenset())


def _unpacked(ext: str) -> str:
    return ext.rpartition(".")[0]


async def ask(http: Http) -> Datatypes:
    """Return the datatypes of this Galaxy: two requests, 150 kB."""
    told = await http.get("/api/datatypes/mapping", "list its datatypes", _Mapping)
    converters: dict[str, set[str]] = {}
    for row in await http.get("/api/datatypes/converters", "list its converters", list[_Converter]):
        converters.setdefault(row.source, set()).add(row.target)
    return Datatypes(
        class_of={ext: name for ext, name in told.ext_to_class_name.items() if name},
        classes={name: frozenset(classes) for name, classes in told.class_to_classes.items()},
        converters={source: frozenset(targets) for source, targets in converters.items()},
    )
