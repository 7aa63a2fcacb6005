"""Durable state: one row per watch, unit and batch, what was done for them, and what happened.

`store.py` is the way in. The room knows SQL and nothing of disks, runs, Galaxy or deliveries: it keeps rows
(`watcher/rows.py`) and refuses writes of whoever was overtaken. `schema.py` shows the tables.
"""
