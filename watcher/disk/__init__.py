"""The disk room: the only one that touches the watched file systems.

`threads.py` keeps blocking calls off the event loop and gives up on those that hang; `mounts.py` tells whether a root
is the one we know (else we are blind); `scan.py` lists, `quiet.py` adds up how long files have not changed,
`events.py` wakes us early, `reader.py` hands over the bytes, `paths.py` decides which paths we touch at all. Only what
is asked for at the end writes: `stock.py` tells what lies in a folder, `removal.py` and `archive.py` take it away,
`receipt.py` leaves word. Nothing here knows what a sequencer is, or remembers anything over a restart: rows come in and
go out.
"""
