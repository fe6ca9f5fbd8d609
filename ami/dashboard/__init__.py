"""Pages for people: projects, stations, captures, and what was found on them."""
