"""How strange the inputs of a new case are among those of held-out ones: measures, ranks, and words for a reader."""
