"""What the commands of the command line share, and the larger ones among them. cli.py puts them together."""
