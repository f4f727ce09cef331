"""`make demo`: the main job on the samples, told as a person would. __main__.py runs it, tell.py tells it."""
