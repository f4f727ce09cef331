"""The API of the internal face, for the desk and for programs: JSON, bearer tokens, scopes."""
