"""Incidents: grouping, states, clocks, on-call and escalation. Pure: time is passed in, the store stands outside."""
