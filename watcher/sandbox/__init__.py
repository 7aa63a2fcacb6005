"""A throw-away real Galaxy and a pretend sequencer: for `demo` and for the tests, never for a production run."""
