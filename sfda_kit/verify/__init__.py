"""Verification of data: every file of a set looked at before anything trains, each finding with its remedy."""
