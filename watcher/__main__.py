"""`python -m watcher`: the command `galaxy-watcher` where its script is not on the PATH.

It knows nothing of its own; the commands stand in `cli/main.py`.
"""

from watcher.cli.main import main

if __name__ == "__main__":
    main()
