"""Other people's answers (a reader, another model, a nomogram) from a table, judged on the same cases as ours."""
