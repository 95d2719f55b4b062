"""What a study's runs allow to be said: gathered (`gather`), compared with the single networks (`compare`) and checked
by other tests (`checks`, `exchange`), with their costs (`prices`), what the gradients show (`affinity`), which arm tune
prefers (`tuned`), what is recommended (`recommendation`), the answer in a sentence (`sentence`), all of it (`make`)."""
