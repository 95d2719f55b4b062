"""The HTML page of a study: its answer, how certain that is, what it costs, and how to repeat it.

`report_file` writes the file and `study_page` fills the template with the parts: `page_head` (facts and notes),
`forest_plot` (effects with intervals), `study_tables` (task by task, Δm, costs, tune), `gain_scatter` (gain against
compute), `affinity_matrices` (gradients), `arm_curves` (training), `site_tables`, and `reproduction` (what was run).
`effect_text` formats numbers.
"""
