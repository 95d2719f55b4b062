"""What is promised about the time to an event: calibrated curves, and a time that most patients live beyond."""
