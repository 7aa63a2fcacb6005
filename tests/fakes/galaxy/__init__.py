"""A fake Galaxy: the parts of the REST API the watcher uses, answering as real servers were measured to answer.

Start with `server.py` (`FakeGalaxy`) and `faults.py` (`Fault`). `tests/fakes_test/` compares it with a real server.
"""

from tests.fakes.galaxy.faults import Fault
from tests.fakes.galaxy.server import FakeGalaxy

__all__ = ["FakeGalaxy", "Fault"]
