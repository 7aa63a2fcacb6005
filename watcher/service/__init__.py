"""Assembly: what turns rooms and stages into a program that runs unattended.

`build.py` wires everything once, `engine.py` moves rows from stage to stage and is the only writer of stage and
status, `faults.py` decides what an error means, `embedded.py` calls the engine when something is due, `daemon.py`
lives with systemd and signals.
"""
