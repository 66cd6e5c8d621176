"""What a study says in the end: the test set, which is sealed until then, and how often it was opened."""
