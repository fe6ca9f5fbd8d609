"""How capture sets are filled: parameters, what they mean in SQL, and the one statement that fills a set."""
