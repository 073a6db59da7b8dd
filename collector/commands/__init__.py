"""One module a subcommand of ``tengwang``: ``HELP``, ``configure(parser)``, ``run(arguments) -> exit code``."""
