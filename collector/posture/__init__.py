"""Posture: indicators, scores with their deductions, forecast and early warning."""
