"""The rule engine: load Sigma rules, compile them, match events, make alerts."""
