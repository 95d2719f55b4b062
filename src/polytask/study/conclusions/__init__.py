"""What a study's runs allow to be said: gathered (`gather`), compared with the single networks (`compare`), with their
costs (`prices`), what the gradients show (`affinity`), the recommended arm (`tuned`), the answer in a sentence
(`sentence`), all together (`make`)."""
