"""A model judged on another hospital's cohort: words joined, known subjects left out, the drop from held-out."""
