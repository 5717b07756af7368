"""`python -m spanledger.cli`."""

from spanledger.cli.main import main

main()
