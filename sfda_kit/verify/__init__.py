"""Verification of data: every file of a set is checked before training, and each finding has its remedy."""
