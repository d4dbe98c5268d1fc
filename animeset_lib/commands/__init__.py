"""One file per command or family of commands of the command line; `cli.py` puts them together."""
