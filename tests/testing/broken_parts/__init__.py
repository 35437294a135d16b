"""Parts that break their contract, each in one point: at least one for every check of every suite."""
