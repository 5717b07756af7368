"""An oracle for the books: random span forests, and two ways to know what the books must say about them.

`forests` makes forests whose totals are known by construction. `rules` reads raw OTLP bodies, slowly and obviously, by
the rules of the project's design. Neither shares code with the service; `test_oracle` checks that they agree.
"""
