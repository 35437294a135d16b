"""The leaderboard as a static site: plain files that work without a server, a network or JavaScript."""
