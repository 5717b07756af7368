"""The composition root: builds the parts of one process, serves them until a signal, watches them."""
