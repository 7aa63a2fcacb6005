"""The keys of a layout and what each is for: the one place that says so to the program and to people.

How they are read stands in `layout_file.py`; conditions have a language of their own, in `conditions.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

KEYS: Mapping[str, Mapping[str, str]] = {
    "": {
        "extends": "Another layout whose keys it takes: tables merge, lists replace.",
        "title": "What people call it.",
        "abstract": "Only there to be extended.",
        "rank": "Of several layouts that fit a folder the one of highest rank is taken.",
        "analyses": "Its units are analyses of one run, each made anew (`units: latest` takes the last); else parts of "
        "it.",
        "flat": "The watched folder itself holds the files; each pair, or file, is a unit.",
        "id": "What identifies the run, the first that says something: `xml:FILE:Element@Attribute`, `json:FILE:a.b`, "
        "`kv:FILE:key`, `csv:FILE:column`, `folder` and `unit` (names that the instrument gives and nobody else has), "
        "`name` (watch and path).",
        "instrument_from": "Where the run tells the name or serial number of its instrument: as in `id`, but for the "
        "words.",
        "instrument_in": "Pattern with `(?P<instrument>…)` for the run's id, then the folder's name, where no file "
        "tells the instrument.",
        "unit": "Glob of the folders that complete by themselves; `.` is the run folder.",
        "unit_has": "Such a folder is a unit once one of these is in it.",
        "unit_id": "Pattern with `(?P<unit>…)`: runs that share a folder are told apart by the names of their files; a "
        "`(?P<part>…)` of it tells other files whose they are.",
        "prune": "Globs of folders that are never entered, relative to the run folder.",
        "settle": "How long everything that is taken must lie still in the end.",
        "max_wait": "Nothing moved for so long and something is missing: it is told once.",
        "abandoned": "Nothing moved for so long and something is missing: a person is asked.",
    },
    "run": {
        "depth": "Such a folder lies at most so many levels below the watched folder.",
        "name": "Pattern of the folder's whole name.",
        "instrument": "Pattern of how the instrument's name in RunInfo.xml begins.",
        "has_all": "Globs that all must match something in the folder.",
        "has_any": "Globs of which one must match.",
        "not_has": "Globs of which none may match.",
    },
    "complete": {
        "all": "Conditions that all must hold.",
        "any": "Conditions of which one must hold as well.",
    },
    "failed": {
        "any": "Conditions of which one is enough: the run failed, and nothing of it is uploaded.",
        "also": "Conditions added to the inherited ones.",
    },
    "held": {
        "any": "Conditions of which one is enough: a person decides.",
        "also": "Conditions added to the inherited ones.",
    },
    "files": {
        "include": "Globs of the files that are taken; none of them: the run has nothing for Galaxy.",
        "more": "Globs by kind (fastq, bam, cram, pod5) of files that are taken when a rule asks for that kind.",
        "none": "Why there is nothing to take, for people.",
        "exclude": "Globs of files that are not taken, each with a reason.",
        "exclude_folders": "Names of folders whose files are not taken.",
        "temporary": "Globs of names that movers of files use while they are at work, each with a reason.",
        "min": "How many files there must be.",
        "empty": "Samples without a single read: `skip` lists them, `upload` sends them, `hold` asks a person.",
    },
    "sample": {
        "regex": "Pattern of a file's name with `(?P<sample>…)`, and `read`, `lane`, `chunk`, `number` where it has "
        "them.",
        "path": "The same for the path relative to the unit.",
        "default": "Where the sample is told when no name does: as in `id`, or `run`, `unit`.",
        "join": "Files of a sample that tell no read are pieces of one dataset, in the order of `chunk`.",
        "reads": "Reads that are taken; others when a rule asks for them.",
        "drop": "Samples that are none: reads that no index claimed.",
        "project": "`folder`: the folder above the reads is the project.",
        "pair": "Whether every R2 needs its R1, and in a flat folder every R1 its R2.",
    },
    "sheet": {
        "path": "Globs of the sample sheet, the first that is there.",
        "kind": "How it is written: `illumina`, `ont`, `element`, `ultima`, `columns`.",
        "zero": "Where the run's own statistics count the reads of samples: `csv:FILE:SAMPLES:READS` and `tsv:…` by "
        "columns, `json:FILE:a.b:SAMPLES:READS` by keys of the rows at `a.b`, a glob alone as BCL Convert writes it. A "
        "sample without reads needs no files; every other one that has none is held.",
    },
    "verify": {
        "manifests": "Lists of checksums: `{ file = …, kind = … }`; every file is held against them while it is sent."
    },
}
"""Every key of a layout, by table, and what it is for; docs/layouts.md is made of it."""
