"""Runs handed in to a leaderboard: packed into one archive, checked as hostile input, taken in."""
