"""What `polytask check` looks at, one concept per file; each is a function from `Evidence` to problems."""
