"""The flow: nine stages of one shape, `(row, rooms) → Outcome`.

Read them in order: detect, settle, verify, plan, upload, invoke, poll, deliver, finish. A stage looks at the world,
does what is missing, and says what comes next; called twice it does nothing twice. Stages never import each other and
never set a row's stage or status: `service/engine.py` does. What they share is `rooms.py` (what a stage may use) and
`effects.py` (how an effect is made once).
"""
