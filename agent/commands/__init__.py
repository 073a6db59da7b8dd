"""One module a subcommand of ``tengwang-agent``: ``HELP``, ``configure(parser)``, ``run(arguments) -> exit code``."""
