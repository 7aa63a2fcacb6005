"""Sequencing knowledge: what instruments and people leave in folders, and what it means. Pure: listings and bytes in,
facts out.

`layout.py` leads from a listing to a verdict (read it first), `grouping.py` from there to samples, datasets and
collections. `structure.py` and `integrity.py` judge the bytes themselves. Layouts are data (`layouts/*.toml`): adding
a platform is adding a file.
"""
