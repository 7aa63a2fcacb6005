"""What a Galaxy can do, told from its version number.

Never by probing: what a server does not know is a bare 500, a page for an unknown address, or a 200 followed by a job
that does not end (measured on 24.1.4, 24.2.4, 25.0.4, 25.1.3, 26.0.2 and 26.1.2). Nothing below 24.1 was ever measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from watcher.errors import GalaxyBroken

OLDEST = (24, 1)
"""The oldest version that this program was run against."""

NEWEST = (26, 1)
"""The newest one; what comes after it is taken to behave alike."""

SHA256 = "SHA-256"

SORTED_BY_GALAXY = frozenset({"bam", "qname_sorted.bam"})
"""Extensions that stand for an order: Galaxy sorts what is not in it (measured on 24.1.4 and 25.0.4), after it verified
the hash of what was sent, and goes on listing that hash (25.0.4; 24.1 lists none). Only size and bytes tell.
`unsorted.bam` is left as it is.
"""


@dataclass(frozen=True, slots=True)
class Features:
    """Each claim with the version it begins at."""

    version: tuple[int, int]

    @property
    def is_measured(self) -> bool:
        """Whether the version is not older than what was measured."""
        return self.version >= OLDEST

    @property
    def is_newer_than_measured(self) -> bool:
        """Whether the version is newer than what was measured."""
        return self.version > NEWEST

    @property
    def fetch_hashes(self) -> bool:
        """A hash given with an upload is accepted and verified; one version earlier it is 400 for the whole request."""
        return self.version >= (24, 2)

    @property
    def server_sha256(self) -> bool:
        """With Celery, Galaxy makes a SHA-256 of an upload that came without one."""
        return self.version >= (25, 0)

    @property
    def invocation_metrics(self) -> bool:
        """The figures of all jobs of an invocation come in one answer; 25.0 leaves out those of subworkflows, and 24.1
        knows no such question. What lies between 25.0 and 26.1 was not measured: each job is asked for.
        """
        return self.version >= (26, 1)

    @property
    def shows_library_files(self) -> bool:
        """Any part of a library's file can be read by itself; on 24.1 that is a 500, and all of it has to be read."""
        return self.version >= (25, 0)

    @property
    def paired_or_unpaired(self) -> bool:
        """Collections in which a sample may be a pair or single; one version earlier they are a bare 500."""
        return self.version >= (25, 0)

    def refuses_collection(self, type: str) -> str:
        """Return why a server of this version makes no collection of this type, as the end of a sentence; "" when it
        does.
        """
        if "paired_or_unpaired" in type and not self.paired_or_unpaired:
            return f"is not known to Galaxy {self.version[0]}.{self.version[1]}: it came with 25.0"
        return ""

    @property
    def over_quota_pauses_upload(self) -> bool:
        """The upload itself pauses when over quota, and raising the quota does not wake it."""
        return self.version >= (25, 1)

    @property
    def tus_checks_offset(self) -> bool:
        """A chunk at a wrong offset is refused; before, it is appended and the file is corrupt."""
        return self.version >= (26, 0)

    @property
    def tus_keeps_connection(self) -> bool:
        """A connection is good for more after the chunk that completes a file; before, the server breaks it after its
        answer, and whatever was asked next is lost.
        """
        return self.version >= (26, 0)

    @property
    def completed_state(self) -> bool:
        """Invocations reach `completed` (all jobs ended, well or not); before, they stay `scheduled` for ever."""
        return self.version >= (26, 0)

    @property
    def outer_counts_include_nested(self) -> bool:
        """Job counts of an invocation include its subworkflows'; before, each has to be asked for."""
        return self.version >= (26, 0)

    @property
    def sends_to_clouds(self) -> bool:
        """There is a way to have datasets sent to a bucket (`cloud.py`); it ended with 24.1."""
        return self.version < (24, 2)

    @property
    def server_events(self) -> bool:
        """There is an event stream that tells which histories changed."""
        return self.version >= (26, 1)


def parse_version(text: str) -> tuple[int, int]:
    """Return `(26, 1)` for "26.1", "26.1.2" or "26.1.dev0"; raises GalaxyBroken for anything else."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise GalaxyBroken(f"Galaxy's version is not understood: {text[:40]!r}.", hint="Is the url that of a Galaxy?")
    return int(found[1]), int(found[2])
