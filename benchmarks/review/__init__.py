"""Where people judge items: the store, the page, and what becomes of a set."""
