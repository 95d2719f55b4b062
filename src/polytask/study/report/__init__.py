"""The page of a study: what it says, how sure that is, what it costs, and how to repeat it.

`make` writes it and `page` puts it together from the parts: `head` (facts and notes), `forest` (effects with
intervals), `tables` (task by task, Δm, costs, tune), `scatter` (gain against compute), `matrices` (gradients), `curves`
(training), `sites`, `repeat` (what was run). `amounts` writes numbers for people.
"""
