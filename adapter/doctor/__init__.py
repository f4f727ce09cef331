"""`chartpost check`: could this configuration work, on this machine, now? examine.py looks at everything."""
