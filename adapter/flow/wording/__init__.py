"""Every word that is sent to a person: templates by facility, channel and language, and the linter that holds them."""
