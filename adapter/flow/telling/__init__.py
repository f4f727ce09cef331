"""Who is told: to whom, by which channel, whether it may go out now, and what became of it."""
