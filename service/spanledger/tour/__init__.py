"""Everything that the platform does, shown on a running system: each stop asks the API, then proves what it did by its
spans and by what the API says of them. `spanledger tour` and `make demo` play it."""
