"""Other people's answers (a reader, another model, a nomogram) from a table, judged beside ours on the same cases."""
