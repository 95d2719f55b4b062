"""The conclusions that the finished runs of a study allow.

`finished_runs` reads the runs, `arm_comparison` compares every arm with the single networks, and `cross_checks` with
`fold_swaps` repeat that with other tests. `arm_costs` summarizes costs, `task_affinity` the gradients of the tasks, and
`tune_choice` the arm that tune prefers. `recommendation` decides, `answer_sentence` puts the answer into words, and
`draw_conclusions` does all of it.
"""
