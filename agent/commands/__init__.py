"""One module a subcommand of ``tengwang-agent``: ``HELP``, ``configure(parser)`` and ``run(arguments) -> exit code``."""
