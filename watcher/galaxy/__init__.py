"""HTTP to one Galaxy as one account; knows no unit, batch, rule or store.

`client.py` is the way in. `bind.py` is pure and checks a workflow's inputs before anything is sent.
"""

from watcher.galaxy.account import Account, Login
from watcher.galaxy.client import Galaxy, Identity

__all__ = ["Account", "Galaxy", "Identity", "Login"]
