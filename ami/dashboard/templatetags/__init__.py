"""What templates of the pages are written with."""
