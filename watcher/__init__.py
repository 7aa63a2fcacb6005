"""galaxy-watcher: takes finished sequencing runs into Galaxy and brings the results home, unattended, exactly once.

Nothing is imported here, so that `import watcher` costs nothing. The layers are drawn in `docs/architecture.md`; to
follow a file from the sequencer to its results, read `stages/detect.py` to `stages/finish.py`.
"""

__version__ = "0.1.0"
