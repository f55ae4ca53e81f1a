"""Cases read from files, whatever the layout."""
