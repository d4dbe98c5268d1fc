"""`python -m animeset_lib` is the command line."""

from animeset_lib.cli.main import main

if __name__ == "__main__":
    main()
