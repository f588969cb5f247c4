"""Change feeds: a log of positions on one side, a follower on the other."""
