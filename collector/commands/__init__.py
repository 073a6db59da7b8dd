"""One module a subcommand of ``tengwang``: ``HELP``, ``configure(parser)`` and ``run(arguments) -> exit code``."""
