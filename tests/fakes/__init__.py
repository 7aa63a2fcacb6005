"""Servers that stand in for real ones in tests, and are compared with the real ones wherever those are there."""
