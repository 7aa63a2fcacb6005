"""Measures what the program promises about speed and size, and writes `docs/performance.md`.

    make bench                      # everything, and the page
    make bench ARGS=content         # one of them, printed only

Each module measures one thing and returns tables (`figures.py`); `page.py` puts them together. The daemons, folders
and servers are those of the tests (`tests/world.py`, `tests/live/real_galaxy.py`).
"""
