"""Submissions to a leaderboard: runs are packed into one archive, checked as hostile input, and added."""
