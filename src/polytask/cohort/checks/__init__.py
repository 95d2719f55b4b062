"""The checks of `polytask check`, one topic per file. Each check is a function from `Evidence` to problems."""
