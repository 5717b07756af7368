"""The command line: one module per command. `configure(parser)` declares its flags, `run(options)` does it and returns
the exit code."""
