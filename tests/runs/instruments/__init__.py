"""Every sequencer and converter as a function that makes its run folder, with what should be found in it.

`INSTRUMENTS` is the one table; `instrument.py` says what an entry holds, the modules beside it make the folders, and
`trouble.py` has them arrive as networks and people let them arrive.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.runs.instruments import converters, dragen, illumina, nanopore, others, pacbio, people
from tests.runs.instruments.instrument import Failure, Instrument, Outcome

__all__ = ["INSTRUMENTS", "Failure", "Instrument", "Outcome"]

INSTRUMENTS: Mapping[str, Instrument] = {
    **illumina.TABLE,
    **dragen.TABLE,
    **converters.TABLE,
    **nanopore.TABLE,
    **pacbio.TABLE,
    **others.TABLE,
    **people.TABLE,
}
