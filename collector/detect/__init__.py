"""The rule engine: load Sigma rules, compile them, match events, make alerts."""

from collector.detect.detector import Detector, build
from collector.detect.rule import RuleInfo

__all__ = ["Detector", "RuleInfo", "build"]
