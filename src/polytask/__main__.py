"""`python -m polytask`: the same as the `polytask` command."""

from polytask.cli import main

if __name__ == "__main__":
    main()
