"""Fine-tuning: `fit --init_from NAME_OR_PATH` starts from trained weights, with fresh optimizers and counters.

settings.py reads the command line, adapt.py brings the weights over, freeze.py holds D's first layers, learning_rate.py
scales the players' steps, report.py says what became of it.
"""
