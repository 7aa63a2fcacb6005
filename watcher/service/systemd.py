"""Tells systemd how the service stands, over the datagram socket it names; silent where there is none.

It knows nothing of the daemon, which calls it when it is ready and when it stops.
"""

from __future__ import annotations

import os
import socket


def notify(message: str) -> bool:
    """Send one state line such as `READY=1`; return whether somebody listens (systemd, sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        try:
            line.sendto(message.encode(), address)
        except OSError:
            return False
    return True
