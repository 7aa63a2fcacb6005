"""Encoded ids as Galaxy shows them: 16 hex digits, made from the database number, the same for every kind of object.

History 1 and dataset 1 have the same id, as on a real server, so code that keys by id alone is found out.
A made-up id is refused with "unable to decode". Numbers are given out in `state.py`.
"""

from __future__ import annotations

_MODULUS = 1 << 64
_FACTOR = 0x9E3779B97F4A7C15
_OFFSET = 0x1E067E6EA5F33AD9
_INVERSE = pow(_FACTOR, -1, _MODULUS)
_LARGEST = 1 << 31


def encode(number: int) -> str:
    """Give the id that stands for a database number."""
    return f"{(number * _FACTOR + _OFFSET) % _MODULUS:016x}"


def decode(encoded: str) -> int | None:
    """Give the number behind an id, or None when this server never made such an id."""
    try:
        raw = int(encoded, 16)
    except ValueError:
        return None
    number = (raw - _OFFSET) * _INVERSE % _MODULUS
    return number if 0 < number < _LARGEST else None
