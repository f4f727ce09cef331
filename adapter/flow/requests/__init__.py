"""What people do with requests: make one, change it, end it. The command line and the API call these."""
