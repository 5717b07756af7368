"""The command line: one module per command. Its `app` is a Typer application whose functions declare the options."""
