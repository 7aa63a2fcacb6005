"""The command line: a door. It parses, calls, prints, and turns known errors into messages and exit codes.

Results go to stdout, talk to stderr. `main.py` lists the commands; what they do stands behind the door, in `service/`.
"""
