"""The command line: one file a verb, one frozen dataclass a verb."""
