"""A rule: which samples it takes, how they travel together, where they land, what is done with them, where results go.

Samples are matched one by one (`match.py`), the first rule that matches takes them, rules with `also` besides it.
`rule_misfits` finds what is wrong between the values of one rule; what is wrong between rules, watches and Galaxies
stands in `fit.py`. What a workflow accepts is known to Galaxy alone and is compared by the plan stage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from watcher.config.deliveries import DeliverySettings
from watcher.config.destinations import (
    DEFAULT_FOLDER,
    DEFAULT_HISTORY,
    SHEET,
    Destination,
    LibraryPlace,
    Per,
    misfit_of_name,
    misfit_of_place,
    sheet_columns,
)
from watcher.config.finishing import FinishSettings, Tag, finish_misfits, finish_template_misfits
from watcher.config.match import Match
from watcher.config.values import (
    KeyPath,
    Misfit,
    Name,
    Priority,
    Section,
    Text,
    json_one_or_mapping,
    one_or_many,
    refuse_control,
    wrong,
)
from watcher.config.workflows import WorkflowSettings, column_of, workflow_misfits


def is_ext(text: str) -> bool:
    """Say whether a text has the form of one of Galaxy's extensions, such as fastqsanger.gz; Galaxy knows which are."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is not None


def is_dbkey(text: str) -> bool:
    """Say whether a text has the form of a key of a reference build, such as hg38 or ?."""
    return re.fullmatch(r"[\x21-\x7e]{1,100}", text) is not None


def _check_ext(written: str) -> str:
    if not (column_of(written) or is_ext(written)):
        raise wrong("is not an extension.", f"For example fastqsanger.gz, or {SHEET}COLUMN.")
    return written


def _check_dbkey(written: str) -> str:
    if written and not (column_of(written) or is_dbkey(written)):
        raise wrong("is not a dbkey.", f"For example hg38, or {SHEET}COLUMN.")
    return written


def _one_for_all(value: object) -> object:
    return {"*": value} if isinstance(value, str) else value


def _absent_is_empty(value: object) -> object:
    return () if value is None else one_or_many(value)


KindOfReads = Literal["fastq", "bam", "cram", "pod5"]
Read = Literal["R1", "R2", "R3", "R4", "I1", "I2"]
Ext = Annotated[Text, AfterValidator(_check_ext)]
Dbkey = Annotated[str, AfterValidator(refuse_control), AfterValidator(_check_dbkey)]


class RuleSettings(Section):
    """What the operator says about the batches it matches."""

    name: Name = Field(description="What plans, commands and the status page call it.")
    match: Match = Field(
        default_factory=Match, description="Which samples it takes: patterns with * and ?. Left out: all."
    )
    also: bool = Field(
        False,
        description="true: takes what matches besides the rule that takes it first, into batches of its own. Never the"
        " first: a sample that only such rules take is unmatched all the same.",
    )
    per: Per = Field("run", description="What travels together: the samples of a run, of a project, or each one alone.")
    kinds: Annotated[tuple[KindOfReads, ...], BeforeValidator(one_or_many)] = Field(
        (), description="Kinds of files: fastq, bam, cram, pod5. Left out: what the layout takes by itself."
    )
    reads: Annotated[tuple[Read, ...], BeforeValidator(one_or_many)] = Field(
        (), description="Reads: R1, R2, R3, R4, I1, I2. Left out: all but index reads. Two of them make a pair."
    )
    lanes: Literal["merge", "concat", "keep"] = Field(
        "merge",
        description="A sample on several lanes: merge makes an element for each lane, concat one file for each read,"
        " keep a sample for each lane.",
    )
    ext: Annotated[Mapping[Text, Ext], BeforeValidator(_one_for_all), Field(json_schema_extra=json_one_or_mapping)] = (
        Field(
            default_factory=dict,
            description='Galaxy\'s extensions by patterns for files, such as {"*.bam": bam}, the first that fits; one'
            " alone is for all files; sheet.COLUMN is what the sample sheet says there of the sample. What fits none,"
            " and everything by default, has the extension that its name means (.fastq.gz: fastqsanger.gz, .bam:"
            " unsorted.bam, which Galaxy leaves as it is). Patterns as in match.file.",
        )
    )
    dbkey: Dbkey = Field(
        "",
        description="Reference build of the datasets, such as hg38, or sheet.COLUMN: what the sample sheet says there"
        " of each sample. Left out: Galaxy's own, which is ? (none).",
    )
    priority: Priority = Field(0, description="Higher goes first when transfers compete.")
    galaxy: Name | None = Field(None, description="Which of several Galaxies.")
    destination: Destination = Field(default_factory=Destination, description="Where its datasets land.")
    tags: Annotated[tuple[Tag, ...], BeforeValidator(one_or_many)] = Field(
        (), description="Tags for the history, next to our own; templates as for history."
    )
    workflow: Annotated[tuple[WorkflowSettings, ...], BeforeValidator(_absent_is_empty)] = Field(
        (), description="What to run: one workflow or a list. Left out = upload only."
    )
    deliver: Annotated[tuple[DeliverySettings, ...], BeforeValidator(_absent_is_empty)] = Field(
        (), description="Where results go: one delivery or a list."
    )
    finish: FinishSettings = Field(default_factory=FinishSettings, description="What happens at the very end.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the sample sheet that its names and places need, one value for a whole batch each."""
        place, library = self.destination, self.destination.library
        names = (place.existing or place.history, place.annotation, place.collection_name, *self.tags)
        names += self.finish.templates
        places = (
            *(library.templates if library else ()),
            *(one for delivery in self.deliver for one in delivery.templates),
        )
        replaced = (template for workflow in self.workflow for template in workflow.replacements.values())
        called = (template for delivery in self.deliver for template in delivery.names.values())
        return sheet_columns(*names, *places, *replaced, *called)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, written: Any) -> Any:
        """Name history and library folder after what the rule cuts by, and number the workflows."""
        if not isinstance(written, Mapping):
            return written
        filled = dict(written)
        destination = {} if filled.get("destination") is None else filled["destination"]
        default = DEFAULT_HISTORY.get(str(filled.get("per", "run")))
        if isinstance(destination, Mapping) and default and not destination.get("existing"):
            filled["destination"] = {"history": default, **destination}
            if isinstance(library := destination.get("library"), Mapping):
                filled["destination"]["library"] = {"folder": DEFAULT_FOLDER[str(filled.get("per", "run"))], **library}
        if isinstance(deliveries := _absent_is_empty(filled.get("deliver")), list | tuple):
            filled["deliver"] = [_with_folder(entry, str(filled.get("per", "run"))) for entry in deliveries]
        workflows = _absent_is_empty(filled.get("workflow"))
        if isinstance(workflows, list | tuple):
            filled["workflow"] = [
                {"key": str(number), **entry} if isinstance(entry, Mapping) else entry
                for number, entry in enumerate(workflows, start=1)
            ]
        return filled


def _with_folder(written: Any, per: str) -> Any:
    """Name the folder in the library of a delivery after what the rule cuts by."""
    library = written.get("library") if isinstance(written, Mapping) else None
    if not isinstance(library, Mapping) or per not in DEFAULT_FOLDER:
        return written
    return {**written, "library": {"folder": DEFAULT_FOLDER[per], **library}}


def rule_misfits(rule: RuleSettings) -> Iterator[Misfit]:
    """Find what is wrong between the values of one rule, apart from its templates."""
    yield from _history_misfits(rule)
    yield from _delivery_misfits(rule)
    yield from workflow_misfits(rule.workflow)
    yield from finish_misfits(rule.finish, existing=bool(rule.destination.existing), workflow=bool(rule.workflow))


def template_misfits(rule: RuleSettings) -> Iterator[Misfit]:
    """Find templates that are coarser or finer than what the rule cuts by."""
    names: list[tuple[KeyPath, str]] = [
        (("destination", "collection_name"), rule.destination.collection_name),
        (("destination", "existing"), rule.destination.existing),
        (("destination", "annotation"), rule.destination.annotation),
        *((("tags", number), tag) for number, tag in enumerate(rule.tags)),
        *_library_names(rule),
        *(
            (("workflow", number, "replacements", word), template)
            for number, workflow in enumerate(rule.workflow)
            for word, template in workflow.replacements.items()
        ),
        *(
            (("deliver", number, "names", pattern), template)
            for number, delivery in enumerate(rule.deliver)
            for pattern, template in delivery.names.items()
        ),
    ]
    new: list[tuple[KeyPath, str]] = [(("destination", "history"), rule.destination.history)]
    places: list[tuple[KeyPath, str]] = [
        *(new if not rule.destination.existing else ()),
        *((("deliver", at, one.place_key), one.template) for at, one in enumerate(rule.deliver) if one.template),
    ]
    for key, template in names:
        if misfit := misfit_of_name(template, rule.per):
            yield Misfit(key, *misfit)
    told = {("deliver", number) for number, one in enumerate(rule.deliver) if _is_finer(one.library, rule.per)}
    for key, template in places:
        if key[:2] not in told and (misfit := misfit_of_place(template, rule.per)):
            yield Misfit(key, *misfit)
    library = rule.destination.library
    if (
        library
        and not _is_finer(library, rule.per)
        and (misfit := misfit_of_place(f"{library.name}/{library.folder}", rule.per))
    ):
        yield Misfit(("destination", "library", "folder"), *misfit)
    yield from finish_template_misfits(rule.finish, rule.per)


def _is_finer(library: LibraryPlace | None, per: Per) -> bool:
    """Tell whether the library's name has several values in a batch, which is told already."""
    return library is not None and misfit_of_name(library.name, per) is not None


def _library_names(rule: RuleSettings) -> Iterator[tuple[KeyPath, str]]:
    places: list[tuple[KeyPath, LibraryPlace | None]] = [
        (("destination", "library"), rule.destination.library),
        *((("deliver", number, "library"), one.library) for number, one in enumerate(rule.deliver)),
    ]
    for key, library in places:
        for name in ("name", "description", "synopsis") if library else ():
            yield (*key, name), getattr(library, name)


def _history_misfits(rule: RuleSettings) -> Iterator[Misfit]:
    place = rule.destination
    if not place.existing:
        return
    if "history" in place.model_fields_set:
        yield Misfit(("destination", "existing"), "and history are both set.", "Keep one: history is for a new one.")
    if place.annotation:
        yield Misfit(
            ("destination", "annotation"),
            "is for a new history; one that is there keeps its own.",
            "Leave out annotation or existing.",
        )
    if place.share.users:
        yield Misfit(
            ("destination", "share", "users"),
            "would share all of an existing history, with what others put there.",
            "Share the history itself in Galaxy; roles open the datasets of this rule alone.",
        )


def _delivery_misfits(rule: RuleSettings) -> Iterator[Misfit]:
    yield from _reader_misfits(rule)
    places: dict[str, int] = {}
    for number, delivery in enumerate(rule.deliver):
        if not delivery.template:  # a bucket of Galaxy's is shared
            continue
        first = places.setdefault(delivery.template.rstrip("/"), number)
        if first != number:
            yield Misfit(
                ("deliver", number, delivery.place_key),
                f"is the {'folder' if delivery.folder else 'place'} of deliver[{first}] as well.",
                f"Put all patterns into one delivery, or use two {'folders' if delivery.folder else 'places'}.",
            )


def _reader_misfits(rule: RuleSettings) -> Iterator[Misfit]:
    """Find readers of results that exclude each other: a result and its items have one list of them."""
    told = [(number, one.library.access) for number, one in enumerate(rule.deliver) if one.library is not None]
    readers = [(number, access) for number, access in told if access]
    for number, access in readers:
        key: KeyPath = ("deliver", number, "library", "access")
        first, of_first = readers[0]
        if rule.destination.share.users or rule.destination.share.roles:
            yield Misfit(
                key,
                "and share of the destination both say who reads the results; Galaxy keeps one list for both.",
                "Keep one: without access the items are for those of share.",
            )
        elif set(access) != set(of_first):
            yield Misfit(
                key,
                f"is not that of deliver[{first}]; a result that lies in two libraries has one list of readers.",
                "Name the same roles in both.",
            )
