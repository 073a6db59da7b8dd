"""One module a source of telemetry; its file name is its ``type`` in agent.toml."""
