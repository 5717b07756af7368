"""`python -m spanledger`: the command line."""

from spanledger.cli.main import main

main()
